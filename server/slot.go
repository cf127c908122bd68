package server

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A process is a worker.Worker, or what stands for one in a test of the owner.
type process interface {
	Run(ctx context.Context, act *function.Activation, out function.Output) (function.Summary, error)
	Done() <-chan struct{}
	Concurrency() int
	Memory() int64
	Retiring() bool
	End(cause string)
	Stop()
}

// A slot is a worker that is up. Fields are the owner's, but for process,
// which does not change, and memory.
type slot struct {
	fn        *fn
	holding   *holding
	number    int64 // tells it from the function's others; does not change
	process   process
	running   int
	gone      bool // it takes no more runs
	yielding  bool // it ends when its last run has
	crashed   bool // that it took runs along has been counted, or it must not be
	upAt      time.Time
	idleSince time.Time
	rested    time.Time    // when it had become idle before its latest run
	lastBegan time.Time    // when its latest run began; zero before the first
	memory    atomic.Int64 // bytes; sampled now and then
	value     float64      // see value; as of its last use
}

// give lets the oldest waiting runs have the free workers.
func (o *owner) give(f *fn) {
	for f.queue.Len() > 0 {
		s := o.pick(f)
		if s == nil {
			return
		}
		o.grant(o.dequeue(f.queue.Front().Value.(*call)), s)
	}
}

// pick returns the most recently used worker that has room, or nil.
func (o *owner) pick(f *fn) *slot {
	for len(f.free) > 0 {
		s := f.free[len(f.free)-1]
		select {
		case <-s.process.Done():
			o.lose(s)
			continue
		default:
		}
		if !s.process.Retiring() {
			return s
		}
		o.leave(s)
	}
	return nil
}

// grant gives a run its worker, which has room.
func (o *owner) grant(c *call, s *slot) {
	f := s.fn
	s.running++
	f.running++
	o.running++
	s.lastBegan = o.now
	if s.running >= s.process.Concurrency() {
		f.free = f.free[:len(f.free)-1]
	}
	cold := c.waited && s.upAt.After(c.since)
	c.reply <- reply{slot: s, cold: cold}
}

// giveBack takes a worker back from a run.
func (o *owner) giveBack(s *slot) {
	f := s.fn
	s.running--
	f.running--
	o.running--
	if s.gone {
		return
	}
	if s.running == 0 {
		s.rested, s.idleSince = s.idleSince, o.now
		s.value = value(o.ledger.clock, f.runs+1, f.startTime, s.holding.memory())
		o.rests(s)
	}
	if s.running == s.process.Concurrency()-1 && !s.yielding {
		f.free = append(f.free, s)
	}
}

// rests is told of a worker that has become idle. Who waits for room looks again when it may be evicted: they
// found it busy or starting when they looked last, and nothing else may happen until then.
func (o *owner) rests(s *slot) {
	if len(o.roomless) > 0 {
		o.schedule(s.fn, o.now.Add(minIdle))
	}
}

// retire stops a worker that is not needed. It must be idle.
func (o *owner) retire(s *slot) {
	o.dismiss(s)
	o.tasks.Go(s.process.Stop)
}

// makeWay ends the worker for others' sake, as soon as it is idle. If its function wants
// more workers, it waits anew: else it would stand before those for whom it made way.
func (o *owner) makeWay(s *slot) {
	if _, waits := o.roomless[s.fn]; waits {
		o.roomless[s.fn] = o.now
	}
	if s.running == 0 && s.fn.queue.Len() == 0 {
		o.evict(s, nil)
		return
	}
	o.yield(s)
}

// yield gives the worker no more runs; it ends when it has none.
func (o *owner) yield(s *slot) {
	s.yielding = true
	if s.running == 0 {
		o.retire(s)
		return
	}
	s.fn.free = slices.DeleteFunc(s.fn.free, func(other *slot) bool { return other == s })
}

// leave gives the worker, which takes no more runs, none.
func (o *owner) leave(s *slot) {
	if s.running == 0 {
		o.lose(s)
		return
	}
	o.yield(s)
}

// trial is how long a new worker must live, or get its first run, to count as started.
const trial = 10 * time.Second

// lose takes note that a worker has ended by itself, or must be ended. One that did so
// right after its start, before it got any run, counts as a start that failed.
func (o *owner) lose(s *slot) {
	if s.gone {
		return
	}
	o.dismiss(s)
	o.tasks.Go(s.process.Stop) // does no harm when it has ended
	if s.lastBegan.IsZero() && o.now.Sub(s.upAt) < trial {
		s.fn.startFailed(function.Errorf(function.CodeInitFailed, "the function's process ended right after its start"), o.now)
	}
}

// dismiss takes the worker out of the function's lists.
func (o *owner) dismiss(s *slot) {
	s.gone, s.holding.ending = true, true
	drop := func(other *slot) bool { return other == s }
	s.fn.slots = slices.DeleteFunc(s.fn.slots, drop)
	s.fn.free = slices.DeleteFunc(s.fn.free, drop)
}
