package server

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/kind"
)

// A startJob is what a goroutine that starts a worker may read.
type startJob struct {
	spec     function.Spec
	codePath string
	dir      string
	user     int           // the uid that it runs with; 0: ours
	number   int64         // tells this worker from the function's others
	gpus     []string      // the UUIDs of those that it may use
	command  *kind.Command // nil: prepare the function first
}

// A startResult is a worker that is up.
type startResult struct {
	process process
	number  int64            // as in the job
	gpuUsed map[string]int64 // bytes that its start took on each GPU; nil: not known
	command *kind.Command    // for the next start
	took    time.Duration    // from the process's start to its ack; 0: not known
}

// startWorker begins one more start, which has its room. It belongs to no caller: it goes
// on when all of them leave.
func (o *owner) startWorker(f *fn, h *holding) {
	if f.starting == 0 {
		f.startBegan = o.now
	}
	f.crowded = o.now
	f.starting++
	f.started++
	o.starting++
	job := startJob{spec: f.spec, codePath: f.blob.Path, dir: f.dir, user: f.user, number: f.started, gpus: h.gpus, command: f.command}
	o.tasks.Go(func() {
		began := time.Now()
		r, err := o.start(o.life, job)
		if err == nil {
			f.ends.Add(1)
		}
		o.send(startEnded{f, h, r, time.Since(began), err}) // the owner waits for it, however it ends
		if err == nil {
			<-r.process.Done()
			f.ends.Done()
		}
		if len(h.gpus) > 0 {
			e := &ending{holding: h, reply: make(chan map[string]int64, 1)}
			if free, err := ask(o.life, o, e, e.reply); err == nil {
				o.reclaim(o.life, free)
			}
		}
		o.send(released{h, o.devices()})
	})
}

// An ending asks what will be free on a worker's GPUs when its memory there is back.
type ending struct {
	holding *holding
	reply   chan map[string]int64
}

func (e *ending) apply(o *owner) {
	o.quiet = true
	e.holding.ending = true
	e.reply <- o.ledger.freeAfter(e.holding)
}

// released says that what a worker had is back.
type released struct {
	holding *holding
	gpus    []gpu.Device
}

func (e released) apply(o *owner) {
	o.ledger.release(e.holding)
	o.ledger.gpus = e.gpus
	o.quiet = true
	o.assignRoom()
}

// startEnded says that a start has come to its end.
type startEnded struct {
	fn      *fn
	holding *holding
	result  startResult
	took    time.Duration
	err     error
}

func (e startEnded) apply(o *owner) {
	f := e.fn
	f.starting--
	o.starting--
	if o.draining {
		f.failInits(errDraining())
	}
	if e.err != nil {
		e.holding.ending = true // what it had is as good as back
		f.startFailed(function.AsError(e.err), o.now)
		o.log.Warn("a function does not start", "function", f.spec.FullName(), "id", f.id, "failures", f.failures, "code", function.CodeOf(e.err))
		o.considerAfter(f, true)
		return
	}
	f.tookStart(cmp.Or(e.result.took, e.took))
	s := &slot{fn: f, holding: e.holding, number: e.result.number, process: e.result.process, upAt: o.now, idleSince: o.now}
	e.holding.slot, e.holding.gpuUsed = s, e.result.gpuUsed
	s.value = value(o.ledger.clock, f.runs, f.startTime, e.holding.memory())
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
	if s.running == 0 {
		o.rests(s)
	}
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

// crashLoop is how many workers must crash one after the other until the function is given a pause.
const crashLoop = 3

// crashed takes note of a worker that took its runs along: once, however many it had. That we ended it for
// others' sake is not the function's fault.
func (o *owner) crashed(s *slot, words string) {
	if s.crashed {
		return
	}
	s.crashed = true
	f := s.fn
	f.crashes++
	if f.crashes < crashLoop {
		return
	}
	f.lastFailure = function.Errorf(function.CodeInitFailed, "the function has crashed %d times one after the other, so it has a pause; the last time %s", f.crashes, words)
	f.retryAt = o.now.Add(min(maxBackOff, minBackOff<<min(f.crashes-crashLoop, 10)))
}

// failure is what a waiting run is told: why there is no worker, and when the next start will be.
func (f *fn) failure(now time.Time) *function.Error {
	wait := max(f.retryAt.Sub(now), 0).Round(100 * time.Millisecond)
	e := *f.lastFailure
	e.RetryAfter = wait
	switch {
	case f.failures > 1:
		e.Message = fmt.Sprintf("%s (its start failed %d times; the next try is in %v)", e.Message, f.failures, wait)
	case f.crashes >= crashLoop:
		e.Message = fmt.Sprintf("%s (the next try is in %v)", e.Message, wait)
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

// failRuns tells all runs of f that wait.
func (o *owner) failRuns(f *fn, why *function.Error) {
	for f.queue.Len() > 0 {
		c := o.dequeue(f.queue.Front().Value.(*call))
		c.reply <- reply{err: why}
	}
}
