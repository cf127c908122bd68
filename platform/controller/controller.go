package controller

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Config is what a controller works with.
type Config struct {
	// Name is the controller's own: where invokers answer to.
	Name   string
	Limits Limits
	Kinds  []Kind
	// Codec is how runs are written into the journal.
	Codec bus.Codec[*bus.Run]
}

// Controller answers for the entities, and sends invocations on their way.
type Controller struct {
	cfg      Config
	log      *slog.Logger
	store    store.Store
	runs     bus.Topic[*bus.Run]
	subjects subjects
	resolved resolvedActions
	routes   routeTables
	waiters  waiters // for the ends of runs
	callers  waiters // for the ends of compositions
	gate     gate

	composing    context.Context // ends with the compositions
	abort        context.CancelFunc
	compositions compositions

	replies bus.Subscription[*bus.Completed]
	stop    context.CancelFunc
	tasks   sync.WaitGroup
}

// New starts a controller that publishes to runs and hears of ends on completed.
func New(cfg Config, st store.Store, runs bus.Topic[*bus.Run], completed bus.Topic[*bus.Completed], log *slog.Logger) (*Controller, error) {
	if cfg.Codec == nil {
		return nil, errors.New("a controller needs a codec for its journal")
	}
	replies, err := completed.Subscribe()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Controller{
		cfg: cfg, log: log, store: st, runs: runs, replies: replies, stop: stop,
		subjects: subjects{store: st},
		waiters:  waiters{byID: map[string]chan *bus.Completed{}},
		callers:  waiters{byID: map[string]chan *bus.Completed{}},

		compositions: compositions{max: maxCompositions, maxCaused: maxCaused},
	}
	c.composing, c.abort = context.WithCancel(context.Background())
	c.tasks.Go(func() { c.hear(ctx) })
	return c, nil
}

// Limits returns what actions and requests may ask for.
func (c *Controller) Limits() Limits { return c.cfg.Limits }

// Kinds returns the kinds that actions may have.
func (c *Controller) Kinds() []Kind { return c.cfg.Kinds }

// Close hears of no more ends but those in unheard. Compositions that wait for others
// end, and their records say why. Who still waits then learns only the activation's id.
func (c *Controller) Close(unheard []bus.Message[*bus.Completed]) error {
	c.stop()
	c.tasks.Wait()
	for _, m := range unheard {
		c.waiters.tell(m.Body)
	}
	c.waiters.dismiss()
	c.compositions.close(c.abort)
	c.callers.dismiss()
	return c.replies.Close()
}

// hear hands each end to who waits for it.
func (c *Controller) hear(ctx context.Context) {
	for {
		d, err := c.replies.Receive(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, bus.ErrClosed) {
				c.log.Error("hearing of activations' ends", "error", err)
			}
			return
		}
		c.waiters.tell(d.Body)
		if err := d.Ack(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("acknowledging an activation's end", "error", err)
		}
	}
}

// waiters are those who wait for the ends of activations.
type waiters struct {
	mu     sync.Mutex
	byID   map[string]chan *bus.Completed
	closed bool
}

func (w *waiters) add(id string) <-chan *bus.Completed {
	ch := make(chan *bus.Completed, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		close(ch)
		return ch
	}
	w.byID[id] = ch
	return ch
}

func (w *waiters) remove(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, id)
}

func (w *waiters) tell(done *bus.Completed) {
	w.mu.Lock()
	ch := w.byID[done.ActivationID]
	delete(w.byID, done.ActivationID)
	w.mu.Unlock()
	if ch != nil {
		ch <- done // there is room for one, and only one comes
	}
}

// dismiss ends all waits, and those to come.
func (w *waiters) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for id, ch := range w.byID {
		close(ch)
		delete(w.byID, id)
	}
}

// newActivationID returns 32 random hex digits.
func newActivationID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
