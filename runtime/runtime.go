package runtime

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Config is what a Runtime needs to know.
type Config struct {
	// Local returns the host for functions without a target; it is asked at each such /init.
	// platform has the variables of the init environment that begin "__OW_": they differ with each
	// first activation, so they are no part of the function, but it may see them while it loads.
	// The caller closes the host after the Runtime.
	Local func(ctx context.Context, platform map[string]string) (function.Host, error)
	// Remote returns the host for a target. The caller closes it after the Runtime.
	Remote func(ctx context.Context, target *function.Target) (function.Host, error)
	// Kind is the kind of functions whose target names none, "python:3".
	Kind string
	// LocalKind is that of functions without a target; empty: Kind.
	LocalKind string
	// LocalConcurrency is how many runs one worker of such a function takes at once; 0 means 1.
	LocalConcurrency int
	// LocalAck says that executables of such functions have to send an ack.
	LocalAck bool
	// LogInitErrors says that the function's owner finds what was wrong with an init in the
	// logs, and not in the answer: the Go action proxy's OW_LOG_INIT_ERROR.
	LogInitErrors bool
	// Dir is where the function's code is kept, in files that have no names. It is made if
	// missing; empty means the system's directory for temporary files.
	Dir string
	// APIHost is the container's __OW_API_HOST.
	APIHost string
	// Stdout and Stderr take the function's logs and the guard lines; nil discards them.
	Stdout, Stderr io.Writer
	// AllowConcurrent says that the platform announced parallel runs. They are
	// accepted without it too, but then the log tells that their lines mix.
	AllowConcurrent bool
	// LeaseTTL is how long the function's lease lives without being renewed; 0
	// means function.DefaultLeaseTTL.
	LeaseTTL time.Duration
	// HostPatience is how long runs wait for a host that is away and was there
	// before; 0 means DefaultHostPatience.
	HostPatience time.Duration
	// Body bounds the bodies of runs; zero means function.DefaultBodyLimits.
	Body function.BodyLimits
	// MaxResult bounds a run's result, in bytes; 0 means DefaultMaxResult.
	MaxResult int
	// Log takes the runtime's own words, never to mix with the function's
	// logs; nil discards them.
	Log *slog.Logger
}

// DefaultMaxResult is the largest result in bytes. OpenWhisk itself truncates
// above 1 MB, but operators may raise that.
const DefaultMaxResult = 16 << 20

// A Runtime serves /init and /run for one function.
type Runtime struct {
	cfg    Config
	stdout *logStream
	stderr *logStream

	// function is nil until an /init has succeeded, and never changes then.
	function atomic.Pointer[bound]
	tagged   atomic.Bool // the platform asked that log lines say whose they are
	running  atomic.Int32
	mixed    sync.Once     // tells once that runs overlap unannounced
	outputs  sync.Pool     // of *output
	unread   time.Duration // of a stream's reader; 0: stream.Unread

	// slot is held by whoever inits or closes. It guards closed.
	slot   chan struct{}
	closed bool

	// life ends when Close begins.
	life context.Context
	end  context.CancelFunc
}

// New returns a Runtime that waits for its /init.
func New(cfg Config) *Runtime {
	if cfg.Body == (function.BodyLimits{}) {
		cfg.Body = function.DefaultBodyLimits
	}
	if cfg.LeaseTTL == 0 {
		cfg.LeaseTTL = function.DefaultLeaseTTL
	}
	if cfg.HostPatience == 0 {
		cfg.HostPatience = DefaultHostPatience
	}
	if cfg.MaxResult == 0 {
		cfg.MaxResult = DefaultMaxResult
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	life, end := context.WithCancel(context.Background())
	return &Runtime{
		cfg:    cfg,
		stdout: newLogStream(cfg.Stdout),
		stderr: newLogStream(cfg.Stderr),
		slot:   make(chan struct{}, 1),
		life:   life,
		end:    end,
	}
}

// Handler returns what answers /init and /run.
func (r *Runtime) Handler() http.Handler { return http.HandlerFunc(r.serve) }

func (r *Runtime) serve(w http.ResponseWriter, req *http.Request) {
	start := time.Now()
	var serve func(http.ResponseWriter, *http.Request, time.Time)
	switch req.URL.Path {
	case "/run":
		serve = r.serveRun
	case "/init":
		serve = r.serveInit
	default:
		answerError(w, http.StatusNotFound, "There is nothing at this path; a runtime answers POST /init and POST /run.")
		return
	}
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answerError(w, http.StatusMethodNotAllowed, "The method must be POST.")
		return
	}
	serve(w, req, start)
}

// Close ends the lease on the function and removes its code. It cancels an
// init that is under way. ctx bounds how long the Host may take. Runs should
// have ended before: shut the HTTP server down first.
func (r *Runtime) Close(ctx context.Context) error {
	r.end()
	select {
	case r.slot <- struct{}{}:
		defer func() { <-r.slot }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.closed {
		return nil
	}
	r.closed = true
	fn := r.function.Load()
	if fn == nil {
		return nil
	}
	return errors.Join(fn.stop(ctx), fn.code.Remove())
}
