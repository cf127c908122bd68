package balancer

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/codestore"
	"github.com/whiskaway/whiskaway/function"
)

// A Config says how a Balancer is set up. Zero values mean the defaults.
type Config struct {
	Dir               string        // for code, and for the labels that were there; required
	CodeLimit         int64         // bytes of code kept on disk; 2 GB
	SpecLimit         int           // functions remembered; 100,000
	LabelGrace        time.Duration // how long runs wait for servers that were just there; 30 s
	InFlightPerMember int           // runs at one member at a time; 10,000
	Queue             int           // runs of one function that wait for a free server; 1,000
	Waiters           int           // runs and Inits that wait for a server at a time, of all functions; 10,000
	Log               *slog.Logger  // discarded when nil

	// Scales says whether a scaler would start a server for functions with these labels (sorted) and
	// this kind when nobody fits them, and how long they may wait for it. It is called under the
	// lock, so it takes none. ScaleTrouble says why no server came, or nothing. See scaler.Scaler.
	Scales       func(labels []string, kind string) (time.Duration, bool)
	ScaleTrouble func(labels []string) string
}

func (c Config) withDefaults() Config {
	c.CodeLimit = cmp.Or(c.CodeLimit, 2<<30)
	c.SpecLimit = cmp.Or(c.SpecLimit, 100_000)
	c.LabelGrace = cmp.Or(c.LabelGrace, 30*time.Second)
	c.InFlightPerMember = cmp.Or(c.InFlightPerMember, 10_000)
	c.Queue = cmp.Or(c.Queue, 1000)
	c.Waiters = cmp.Or(c.Waiters, 10_000)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Balancer is a Host over the members that joined it.
type Balancer struct {
	cfg  Config
	log  *slog.Logger
	code *codestore.Store

	ctx  context.Context // ends when the balancer closes
	stop context.CancelFunc
	wg   sync.WaitGroup // Joins, and the keepers of offers.json and of the queues
	// kicks wakes keepQueues; it has room for one.
	kicks chan struct{}

	mu        sync.Mutex // guards everything below, and all that is marked "guarded"
	closing   bool
	members   map[string]*member
	functions map[function.ID]*fn
	recent    *list.List // of *fn; the most recently leased first
	classes   map[string]*class
	epoch     int                  // counts the changes of what members offer
	gone      map[string]goneOffer // by member
	kept      map[string]kept      // by member that has left
	tenants   map[string]*tenant   // by namespace
	hungry    map[*tenant]struct{} // those with somebody in a queue
	virtual   time.Duration        // see charge
	turns     int                  // how often a tenant has begun to wait
	wakes     wakes
	changes   bool   // all who wait may find a place
	demanded  signal // a scaler may have a server to start
	waiters   int
	inFlight  int
	idle      signal // inFlight became 0
	offers    signal // what members offer has changed
	changed   signal // anything in Status may have changed
}

var _ function.Host = (*Balancer)(nil)

// Open makes a Balancer that keeps its files in cfg.Dir, which one process may
// use at a time.
func Open(cfg Config) (*Balancer, error) {
	cfg = cfg.withDefaults()
	if cfg.Dir == "" {
		return nil, fmt.Errorf("opening the balancer: it needs a directory")
	}
	code, err := codestore.Open(filepath.Join(cfg.Dir, "code"), cfg.CodeLimit)
	if err != nil {
		return nil, fmt.Errorf("opening the balancer: %w", err)
	}
	b := &Balancer{
		cfg: cfg, log: cfg.Log, code: code,
		members: map[string]*member{}, functions: map[function.ID]*fn{},
		recent: list.New(), classes: map[string]*class{}, kept: map[string]kept{},
		tenants: map[string]*tenant{}, hungry: map[*tenant]struct{}{}, kicks: make(chan struct{}, 1),
	}
	b.gone = b.loadOffers(time.Now())
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.wg.Go(b.keepOffers)
	b.wg.Go(b.keepQueues)
	return b, nil
}

// lastWait bounds Close after its ctx has ended: members are told to leave, and
// a Host that does not obey must not hold us for ever.
const lastWait = 2 * time.Second

// Close retires the balancer until ctx ends, then ends all Joins. Functions stay warm at the
// members until our leases there run out, so that a balancer that comes back finds them.
func (b *Balancer) Close(ctx context.Context) error {
	err := b.Retire(ctx)
	b.stop()
	done := make(chan struct{})
	go func() { // ends with the Joins
		b.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-time.After(lastWait):
		return fmt.Errorf("closing the balancer: members did not leave in time")
	}
}

// PutCode stores code for namespace, see function.Host.
func (b *Balancer) PutCode(ctx context.Context, namespace string, digest function.Digest, code io.Reader) error {
	if err := b.open(); err != nil {
		return err
	}
	if err := b.code.Put(ctx, namespace, digest, code); err != nil {
		return function.AsError(err)
	}
	return nil
}

// open reports an error when the balancer is closing.
func (b *Balancer) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return errClosing()
	}
	return nil
}
