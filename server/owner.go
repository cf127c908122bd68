package server

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
)

// limits bound what an owner lets happen.
type limits struct {
	cpus       int // that our processes may use
	workers    int // of one function, when it does not say itself
	maxStarts  int // of one function at the same time
	queue      int // waiting runs of one function
	idleTTL    time.Duration
	leaseGrace time.Duration
	memory     int64 // bytes that all workers together count; 0: no limit
}

// The bounds of what clients can make us keep.
const (
	maxFunctions = 20_000
	maxLeases    = 1000 // of one function, callers of Init that wait included
	maxWorkers   = 1000 // of one function, whatever it asks for
)

// An owner has the state of all functions. Only events touch it, one after another; everybody
// else sends them. Whoever sends one applies it as well, so that a run changes goroutines no oftener than it waits.
type owner struct {
	limits
	log *slog.Logger
	// start makes a worker, after it has prepared the function when that was
	// not done yet. It is called in a goroutine of its own.
	start func(ctx context.Context, j startJob) (startResult, error)
	// reclaim waits until what a worker that has ended had on its GPUs is back.
	reclaim func(ctx context.Context, free map[string]int64)
	// devices says what the GPUs hold now.
	devices func() []gpu.Device
	// clean removes what start made for a function whose workers have ended.
	clean func(fn *fn)
	// forget lets go of what a function has that was never taken up.
	forget func(fn *fn)

	turn    sync.Mutex    // held while an event is applied; it guards what is the owner's
	ended   bool          // no further event is applied
	done    chan struct{} // closed then
	drained chan struct{} // closed when we are draining and nothing runs any more
	tasks   sync.WaitGroup
	life    context.Context // of starts
	end     context.CancelFunc

	now       time.Time // of the event that is handled
	functions map[function.ID]*fn
	ledger    ledger
	roomless  map[*fn]time.Time // who wants more workers, and since when
	evictions int64
	waiting   map[string]int // runs that wait, by namespace
	wakes     wakes
	timer     *time.Timer
	running   int // runs in flight
	starting  int
	busy      atomic.Bool // something runs or starts; others may read it
	draining  bool
	closing   bool
	quiet     bool // the event that is handled changes nothing that a status tells
	watchers  map[*watcher]struct{}
}

// An event is something that the owner must know. apply runs while nothing else touches
// the owner's state; it must not wait for anything, nor send another event.
type event interface{ apply(o *owner) }

func newOwner(l limits, log *slog.Logger) *owner {
	o := &owner{
		limits: l, log: log,
		done:      make(chan struct{}),
		drained:   make(chan struct{}),
		functions: map[function.ID]*fn{},
		ledger:    ledger{budget: l.memory, holdings: map[*holding]struct{}{}},
		roomless:  map[*fn]time.Time{},
		waiting:   map[string]int{},
		devices:   func() []gpu.Device { return nil },
		forget:    func(f *fn) { f.blob.Release() },
		reclaim:   func(context.Context, map[string]int64) {},
		timer:     time.NewTimer(time.Hour),
		watchers:  map[*watcher]struct{}{},
	}
	o.life, o.end = context.WithCancel(context.Background())
	return o
}

// loop wakes the owner up at the times that it has set itself, until it has ended: then all
// functions have, and a closing event was applied.
func (o *owner) loop() {
	defer o.end()
	defer o.timer.Stop()
	for {
		select {
		case <-o.timer.C:
			o.send(waking{})
		case <-o.done:
			return
		}
	}
}

// send gives the owner an event, which has been applied when it returns. It reports false when
// the owner has ended.
func (o *owner) send(e event) bool {
	o.turn.Lock()
	defer o.turn.Unlock()
	if o.ended {
		return false
	}
	o.now = time.Now()
	e.apply(o)
	o.busy.Store(o.running > 0 || o.starting > 0)
	if !o.quiet {
		o.tellWatchers()
	}
	o.quiet = false
	if o.finished() {
		o.ended = true
		close(o.done)
	}
	return true
}

// finished ends the functions once we are draining and nothing runs any more, and
// reports whether the owner's work is done.
func (o *owner) finished() bool {
	if !o.draining || o.starting > 0 || o.running > 0 {
		return false
	}
	for _, f := range o.functions {
		o.remove(f)
	}
	select {
	case <-o.drained:
	default:
		close(o.drained)
	}
	return o.closing
}

// waking says that a time has come that the owner has set.
type waking struct{}

// apply asks plan for the functions whose time it is.
func (waking) apply(o *owner) {
	for f := o.wakes.due(o.now); f != nil; f = o.wakes.due(o.now) {
		o.consider(f)
	}
	o.assignRoom() // a worker may be old enough to go
	o.setTimer()
}

// schedule makes sure that plan is asked for f at the time at, or before.
func (o *owner) schedule(f *fn, at time.Time) {
	if at.IsZero() || f.removed || !o.wakes.add(f, at) {
		return
	}
	o.setTimer()
}

func (o *owner) setTimer() {
	if at, ok := o.wakes.next(); ok {
		o.timer.Reset(at.Sub(o.now))
	}
}

// consider asks plan about f, and does what it says.
func (o *owner) consider(f *fn) { o.considerAfter(f, false) }

func (o *owner) considerAfter(f *fn, startFailed bool) {
	if f.removed || o.draining {
		return
	}
	f.dropExpired(o.now, o.leaseGrace)
	v := f.view(o)
	v.StartFailed = startFailed
	d := plan(v, o.now)
	if d.FailInits {
		f.failInits(f.lastFailure)
	}
	if d.FailRuns {
		o.failRuns(f, f.failure(o.now))
	}
	if d.Remove {
		o.remove(f)
		return
	}
	if d.StopIdle > 0 {
		for _, s := range f.idle()[:d.StopIdle] {
			o.retire(s)
		}
	}
	o.schedule(f, d.Wake)
	o.want(f, d.Start)
}

// remove forgets f. Its workers are stopped and its directory goes away in a goroutine of
// their own.
func (o *owner) remove(f *fn) {
	f.removed = true
	delete(o.functions, f.id)
	o.unwant(f)
	o.wakes.remove(f)
	slots := f.slots
	for _, s := range slots {
		s.gone, s.holding.ending = true, true
	}
	f.slots, f.free = nil, nil
	o.log.Info("a function ends", "function", f.spec.FullName(), "id", f.id, "runs", f.runs)
	o.tasks.Go(func() {
		for _, s := range slots {
			s.process.Stop()
		}
		f.ends.Wait()
		o.clean(f)
	})
}
