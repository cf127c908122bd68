package server

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// A startJob is what a goroutine that starts a worker may read.
type startJob struct {
	spec     function.Spec
	codePath string
	dir      string
	command  *kind.Command // nil: prepare the function first
}

// A startResult is a worker that is up.
type startResult struct {
	process process
	command *kind.Command // for the next start
}

// startWorker begins one more start. It belongs to no caller: it goes on when
// all of them leave.
func (o *owner) startWorker(f *fn) {
	f.starting++
	o.starting++
	job := startJob{spec: f.spec, codePath: f.blob.Path, dir: f.dir, command: f.command}
	o.tasks.Go(func() {
		r, err := o.start(o.life, job)
		if err == nil {
			f.ends.Add(1)
		}
		o.send(startEnded{f, r, err}) // the owner waits for it, however it ends
		if err == nil {
			defer f.ends.Done()
			<-r.process.Done()
		}
	})
}

// startEnded says that a start has come to its end.
type startEnded struct {
	fn     *fn
	result startResult
	err    error
}

func (e startEnded) apply(o *owner) {
	f := e.fn
	f.starting--
	o.starting--
	if o.draining {
		f.failInits(errDraining())
	}
	if e.err != nil {
		f.startFailed(function.AsError(e.err), o.now)
		o.log.Warn("a function does not start", "function", f.spec.FullName(), "id", f.id, "failures", f.failures, "code", function.CodeOf(e.err))
		o.considerAfter(f, true)
		return
	}
	s := &slot{fn: f, process: e.result.process, upAt: o.now, idleSince: o.now}
	f.command, f.perSlot = e.result.command, s.process.Concurrency()
	f.slots, f.free = append(f.slots, s), append(f.free, s)
	if !f.everUp {
		f.everUp = true
		o.log.Info("a function is ready", "function", f.spec.FullName(), "id", f.id, "kind", f.spec.Kind)
	}
	f.grantInits(o.now)
	if len(f.leases) == 0 {
		f.graceEnds = o.now.Add(o.leaseGrace)
	}
	o.watchSlot(s)
	o.give(f)
	o.consider(f)
}

// watchSlot makes the end of the worker an event, and takes its first sample of memory.
func (o *owner) watchSlot(s *slot) {
	o.tasks.Go(func() {
		s.memory.Store(s.process.Memory())
		<-s.process.Done()
		o.send((*slotEnded)(s))
	})
}

// slotEnded says that a worker has ended.
type slotEnded slot

func (e *slotEnded) apply(o *owner) {
	s := (*slot)(e)
	o.lose(s)
	o.consider(s.fn)
}

// The times between starts that fail one after the other.
const (
	minBackOff = time.Second
	maxBackOff = 30 * time.Second
)

// startFailed takes note of a failed start.
func (f *fn) startFailed(why *function.Error, now time.Time) {
	f.failures++
	f.lastFailure = why
	wait := min(maxBackOff, minBackOff<<min(f.failures-1, 10))
	f.retryAt = now.Add(wait - rand.N(wait/8)) // so that functions that failed together do not start together
}

// failure is what a waiting run is told: the last start's error, and when the next one will be.
func (f *fn) failure(now time.Time) *function.Error {
	wait := max(f.retryAt.Sub(now), 0).Round(100 * time.Millisecond)
	e := *f.lastFailure
	e.RetryAfter = wait
	if f.failures > 1 {
		e.Message = fmt.Sprintf("%s (its start failed %d times; the next try is in %v)", e.Message, f.failures, wait)
	}
	return &e
}

// failInits tells all callers of Init that wait.
func (f *fn) failInits(why *function.Error) {
	for _, c := range f.inits {
		c.reply <- initReply{err: why}
	}
	f.inits = nil
}

// grantInits gives all callers of Init that wait their leases.
func (f *fn) grantInits(now time.Time) {
	for _, c := range f.inits {
		f.grant(c.lease, now)
		c.reply <- initReply{}
	}
	f.inits = nil
}

// failRuns tells all runs that wait.
func (f *fn) failRuns(why *function.Error) {
	for f.queue.Len() > 0 {
		c := f.queue.Remove(f.queue.Front()).(*call)
		c.place = nil
		c.reply <- reply{err: why}
	}
}
