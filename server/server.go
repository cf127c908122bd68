package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/codestore"
	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/sandbox/cgroup"
)

// A Config says what a server has and what its limits are.
type Config struct {
	Dir     string // the data directory; one server at a time
	EnvsDir string // where dependency environments are kept; empty: under Dir
	Name    string // for people
	Version string
	Labels  []string // given ones; those that are found are added
	Kinds   *kind.Set
	// Strength is of one CPU, and GPUStrengths of the GPUs, by UUID, see function.ServerStatus; 0
	// or missing: not measured.
	Strength     float64
	GPUStrengths map[string]float64
	GPUs         *gpu.Monitor  // nil: there are none
	Shim         []string      // the command that is the shim, see package sandbox
	Walls        sandbox.Walls // the zero value: Open detects them
	// Groups are the control groups for workers; nil: there are none, and limits are
	// watched instead.
	Groups *cgroup.Manager
	Shared []string // directories that every function may write to
	// Env, if not nil, is asked at each start of a worker for settings that every function finds in its
	// environment: they are stronger than our own defaults, weaker than the function's, and no part
	// of its identity. nil: nothing but what is ours and the function's.
	Env func() []string

	Workers      int           // of one function that does not say itself; 0: 16, or 4 for each CPU
	QueueLimit   int           // waiting runs of one function; 0: 1000
	IdleTTL      time.Duration // after it an idle worker stops; 0: 5 min
	LeaseGrace   time.Duration // how long a function stays without a lease; 0: 60 s
	StartTimeout time.Duration // of a worker, with the building of dependencies; 0: 10 min
	CodeLimit    int64         // bytes of code kept; 0: codestore.DefaultMaxBytes
	LogLimit     int64         // bytes of logs of one run; 0: worker.DefaultLogLimit
	Memory       int64         // bytes that all workers may use; 0: 80% of the machine's or of our own limit
	Processes    int           // processes and threads of one worker; 0: 1024, or 32 for each CPU
	DiskLimit    int64         // bytes of one worker's temporary directory; 0: 10 GB
	CacheLimit   int64         // bytes of one namespace's cache; 0: 50 GB
	EnvsLimit    int64         // bytes of environments of dependencies that are kept; 0: 20 GB
	Grace        time.Duration // how long a run that is cut may take to end by itself; 0: worker.DefaultGrace
	Log          *slog.Logger  // nil: nothing is logged
}

func (c Config) withDefaults() Config {
	setDefault(&c.Workers, max(16, 4*runtime.NumCPU()))
	setDefault(&c.QueueLimit, 1000)
	setDefault(&c.IdleTTL, 5*time.Minute)
	setDefault(&c.LeaseGrace, 60*time.Second)
	setDefault(&c.StartTimeout, 10*time.Minute)
	setDefault(&c.Processes, max(1024, 32*runtime.NumCPU()))
	setDefault(&c.DiskLimit, 10<<30)
	setDefault(&c.CacheLimit, 50<<30)
	setDefault(&c.EnvsLimit, 20<<30)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T int | int64 | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

func (c Config) limits() limits {
	return limits{
		cpus: runtime.GOMAXPROCS(0), workers: min(c.Workers, maxWorkers), maxStarts: max(2, runtime.NumCPU()),
		queue: c.QueueLimit, idleTTL: c.IdleTTL, leaseGrace: c.LeaseGrace,
		memory: memoryBudget(c.Memory),
	}
}

// A Server is a Host over this machine's workers.
type Server struct {
	id, name, version string
	layout            layout
	lock              *os.File
	code              *codestore.Store
	kinds             *kind.Set
	offer             offer
	walls             sandbox.Walls
	shim              []string
	groups            *cgroup.Manager
	shared            []string
	env               func() []string
	users             *users
	removing          sync.Mutex // held while a function's or a worker's directory is removed
	caches            *caches
	gpus              *gpu.Monitor
	strength          float64
	gpuStrengths      map[string]float64
	startTimeout      time.Duration
	grace             time.Duration
	logLimit          int64
	diskLimit         int64
	envsLimit         int64
	processes         int
	kernelLimits      bool // the kernel enforces memory and processes of each worker
	log               *slog.Logger
	began             time.Time

	owner       *owner
	tasks       sync.WaitGroup // the owner's loop, those who watch the workers, and those who clean up after them
	directories atomic.Int64   // numbers the functions' directories
	closed      func() error
}

var (
	_ function.Host    = (*Server)(nil)
	_ function.Drainer = (*Server)(nil)
)

// Open starts a server on c.Dir, which another server may have left in any state. It
// is an error when another one uses the directory. The server must be closed.
func Open(ctx context.Context, c Config) (*Server, error) {
	c = c.withDefaults()
	for _, label := range c.Labels {
		if err := function.CheckLabel(label); err != nil {
			return nil, err
		}
	}
	s := &Server{
		name: c.Name, version: c.Version, kinds: c.Kinds, shim: c.Shim, walls: c.Walls, startTimeout: c.StartTimeout,
		logLimit: c.LogLimit, log: c.Log, began: time.Now(), gpus: c.GPUs, grace: c.Grace,
		strength: c.Strength, gpuStrengths: c.GPUStrengths,
		groups: c.Groups, kernelLimits: c.Groups != nil, shared: c.Shared, env: c.Env,
		diskLimit: c.DiskLimit, envsLimit: c.EnvsLimit, processes: c.Processes,
		offer: newOffer(c.Labels, c.Kinds, offeredGPUs(c.GPUs), memoryBudget(c.Memory)),
	}
	if err := s.openDir(c); err != nil {
		return nil, fmt.Errorf("opening the server's data directory: %w", err)
	}
	if s.walls.IsZero() {
		s.walls = sandbox.Detect(ctx, s.shim, c.Log)
	}
	s.owner = newOwner(c.limits(), c.Log)
	s.owner.start, s.owner.clean, s.owner.reclaim = s.startWorker, s.clean, s.reclaim
	s.owner.forget = s.forget
	s.owner.devices = func() []gpu.Device { return devicesOf(c.GPUs) }
	s.owner.ledger.gpus, s.owner.ledger.gpuLabels = s.owner.devices(), gpu.Labels(gpusOf(c.GPUs))
	s.closed = sync.OnceValue(s.release)
	s.tasks.Go(s.owner.loop)
	s.tasks.Go(s.watchUsage)
	s.tasks.Go(s.watchDisk)
	return s, nil
}

func (s *Server) openDir(c Config) (err error) {
	if s.layout, err = newLayout(c.Dir, c.EnvsDir); err != nil {
		return err
	}
	if s.lock, err = s.layout.lock(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	if s.id, err = s.layout.serverID(); err != nil {
		return err
	}
	if err = s.layout.prepare(); err != nil {
		return err
	}
	s.users = s.findUsers()
	if s.caches, err = openCaches(s.layout.caches(), c.CacheLimit, s.users); err != nil {
		return err
	}
	s.code, err = codestore.Open(s.layout.code(), c.CodeLimit)
	return err
}

// findUsers returns the users that functions get, or none where they would not reach their own files.
func (s *Server) findUsers() *users {
	if !s.walls.OwnUser() {
		return nil
	}
	if !s.walls.PrivateTemp() { // functions see the directories as they are
		if err := s.layout.open(); err != nil {
			s.log.Warn("functions get no users of their own", "why", err)
			return nil
		}
	}
	return newUsers(s.id, highestUser())
}

// ID is the server's, and stays the same over restarts.
func (s *Server) ID() string { return s.id }

// Name is the one for people.
func (s *Server) Name() string { return s.name }

// Close drains the server and ends it. When Close returns, every worker has ended, every function's
// directory is gone, and no goroutine of ours is left.
func (s *Server) Close(ctx context.Context) error {
	s.DrainOrCut(ctx)
	s.owner.send(closing{})
	return s.closed()
}

func (s *Server) release() error {
	s.tasks.Wait()
	s.owner.tasks.Wait() // the loop, which adds to them, has ended
	return errors.Join(removeAll(s.layout.functions()), s.lock.Close())
}

// closing says that the loop may end.
type closing struct{}

func (closing) apply(o *owner) { o.closing = true }
