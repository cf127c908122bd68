package server

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
)

// reserveAfter is how long a function waits for room until no other may take what comes
// free before it: else one that needs much would never get it.
const reserveAfter = 2 * time.Second

// A request is a function that wants room for more workers.
type request struct {
	Namespace string
	Held      int64 // bytes of memory that its namespace has
	Own       int64 // bytes of that, the function's own
	Need      need
	Since     time.Time
	Workers   int // that the function has already
}

// A tenancy is a worker that has just ended a run.
type tenancy struct {
	Namespace string
	Held      int64 // bytes of memory that its namespace has
	Own       int64 // bytes of that, its function's
	Memory    int64 // bytes of that, its own
	GPUs      []string
	GPUMemory int64         // bytes on each
	Up        time.Duration // for how long it has been up
	Start     time.Duration // what a start of its function takes
	Unasked   bool          // no run waits for it
	Rested    time.Time     // when it had become idle before that run
}

// The shortest times for which one must have waited for room until another worker
// must make way: when the other has more than it would have then, when both have the same or no
// run waits for the other, and when one has no worker at all and needs more than an equal share.
const (
	yieldAfter  = 100 * time.Millisecond
	quantum     = time.Second
	starveAfter = 10 * time.Second
)

// help is what a worker's end would do for a request.
type help int

const (
	useless help = iota
	aPart
	enough
)

// helps reports what t's end would do for the need. Nothing when its room is on its way already:
// else all who end a run until then would make way for one.
func (r room) helps(t tenancy, n need) help {
	taken := r.Taken - r.Ending
	if r.fits(n, taken, r.Back) {
		return useless
	}
	if r.fits(n, taken-t.Memory, without(r.Back, idleWorker{GPUs: t.GPUs, GPUMemory: t.GPUMemory})) {
		return enough
	}
	suits := func(g gpu.Budget) bool { return slices.Contains(t.GPUs, g.UUID) && g.Total >= n.GPUMemory }
	if !r.hasMemory(n, taken) || slices.ContainsFunc(r.Back, suits) {
		return aPart
	}
	return useless // its GPU is too small, or has vanished
}

// yields reports whether the worker must make way for the request. Without that, functions
// whose runs follow each other closely would keep others out for good, since busy workers are never
// evicted, nor are those that have just become idle. Among equals it happens at most once in a while,
// and the more rarely the more a start costs. It is pure.
func (t tenancy) yields(r request, h help, now time.Time) bool {
	waited := now.Sub(r.Since)
	if h == useless || waited < yieldAfter || r.Need.Spare {
		return false
	}
	if t.Unasked && (waited < quantum || !t.Rested.After(r.Since)) {
		return false // it may be evicted when it has been idle for long enough, unless it never is
	}
	if h == aPart && waited < reserveAfter {
		return false // others would take it
	}
	mine, theirs := t.Held, r.Held
	if t.Namespace == r.Namespace {
		mine, theirs = t.Own, r.Own
	}
	if mine-t.Memory >= theirs+r.Need.Memory {
		return true
	}
	turn := max(quantum, 4*t.Start)
	if waited < turn || t.Up < turn {
		return false
	}
	starves := r.Workers == 0 && waited >= starveAfter
	return mine >= theirs+r.Need.Memory || starves && mine >= theirs
}

// mustYield reports whether a worker whose run has ended must make way for somebody else's.
func (o *owner) mustYield(s *slot) bool {
	if !o.waitedForRoom(yieldAfter) {
		return false
	}
	f := s.fn
	all, sums := o.ledger.share(), o.ledger.sums()
	t := tenancy{
		Namespace: f.spec.Namespace, Held: all.namespaces[f.spec.Namespace], Own: all.functions[f], Memory: s.holding.memory(),
		GPUs: s.holding.gpus, GPUMemory: o.ledger.gpuBytes(s.holding), Up: o.now.Sub(s.upAt), Start: f.startTime,
		Unasked: f.queue.Len() == 0, Rested: s.rested,
	}
	fns, requests := o.requests(all)
	for i, r := range requests {
		if fns[i] != f && t.yields(r, sums.helps(t, r.Need), o.now) {
			return true
		}
	}
	return false
}

// waitedForRoom reports whether somebody has waited for room for so long.
func (o *owner) waitedForRoom(d time.Duration) bool {
	for _, since := range o.roomless {
		if o.now.Sub(since) >= d {
			return true
		}
	}
	return false
}

// fairOrder is the order in which requests get room: first those for which somebody waits, then the
// namespace that has the least (max-min fairness), then who has no worker at all, then who waits the longest.
// It is pure.
func fairOrder(requests []request) []int {
	order := make([]int, len(requests))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := requests[a], requests[b]
		return cmp.Or(last(x.Need.Spare, y.Need.Spare), cmp.Compare(x.Held, y.Held), last(x.Workers > 0, y.Workers > 0), x.Since.Compare(y.Since))
	})
	return order
}

// want takes note of how many more workers f should have, and starts what there is room for.
func (o *owner) want(f *fn, n int) {
	if n <= 0 {
		o.unwant(f)
		return
	}
	_, waits := o.roomless[f]
	if !waits || f.wantsSpare && !f.unasked() { // who waits now has not waited before
		o.roomless[f] = o.now
	}
	f.wants, f.wantsSpare = n, f.unasked()
	o.assignRoom()
}

func (o *owner) unwant(f *fn) {
	delete(o.roomless, f)
	f.wants, f.wantsSpare = 0, false
}

// assignRoom starts workers for those who want them, as far as there is room.
func (o *owner) assignRoom() {
	for o.assignOne() {
	}
}

// assignOne starts one worker, or makes idle ones end. It reports whether it could start one.
func (o *owner) assignOne() bool {
	if len(o.roomless) == 0 || o.draining {
		return false
	}
	fns, requests := o.requests(o.ledger.share())
	r, slots := o.ledger.room()
	refused := map[need]bool{}
	for _, i := range fairOrder(requests) {
		f, n := fns[i], requests[i].Need
		if !refused[n] { // else nothing has changed since
			v := makeRoom(r, n, o.now)
			if v.Fits {
				o.began(f, v.GPUs)
				return true
			}
			if len(v.Evict) > 0 {
				for _, j := range v.Evict {
					o.evict(slots[j], f)
				}
				return false // asked again when they have ended
			}
			refused[n] = true
			o.schedule(f, v.Wake)
		}
		if !n.Spare && o.now.Sub(requests[i].Since) >= reserveAfter {
			r = r.reserve(n)
		}
	}
	return false
}

// reserve is the room that is left for those who come after somebody who has waited for long: nothing of
// what that one lacks. Who waits for a GPU must not keep those out who need none.
func (r room) reserve(n need) room {
	if r.hasMemory(n, r.Taken) {
		r.GPUs, r.Back = nil, nil
	}
	r.Taken += n.Memory
	return r
}

// requests lists who wants room, and forgets who does no more.
func (o *owner) requests(all share) ([]*fn, []request) {
	fns := make([]*fn, 0, len(o.roomless))
	requests := make([]request, 0, len(o.roomless))
	for f, since := range o.roomless {
		workers := len(f.slots) + f.starting
		if f.unasked() && workers >= f.warm(o) {
			o.unwant(f)
			continue
		}
		n := o.ledger.needOf(f.spec.Require)
		n.Spare = f.unasked()
		fns = append(fns, f)
		requests = append(requests, request{Namespace: f.spec.Namespace, Held: all.namespaces[f.spec.Namespace], Own: all.functions[f], Need: n, Since: since, Workers: workers})
	}
	return fns, requests
}

// began starts a worker for f, which has room.
func (o *owner) began(f *fn, gpus []string) {
	f.wants--
	if f.wants == 0 {
		o.unwant(f)
	}
	o.startWorker(f, o.ledger.take(f, gpus))
}

// evict ends an idle worker in favour of f, or of all when f is nil.
func (o *owner) evict(s *slot, f *fn) {
	o.ledger.clock = max(o.ledger.clock, s.value)
	favoured := "all"
	if f != nil {
		favoured = f.spec.FullName()
	}
	o.log.Debug("an idle worker makes room", "of", s.fn.spec.FullName(), "for", favoured, "memory", s.holding.memory())
	o.evictions++
	o.retire(s)
	o.schedule(s.fn, o.now)
}

// noRoom says why a function has no worker yet.
func (o *owner) noRoom(f *fn) *function.Error {
	r, n := o.ledger.sums(), o.ledger.needOf(f.spec.Require)
	words := fmt.Sprintf("it needs %d MB, and others have %d of the %d MB that functions may use here", n.Memory>>20, r.Taken>>20, r.Budget>>20)
	if n.GPUs > 0 && r.hasMemory(n, r.Taken) {
		words = fmt.Sprintf("of GPUs it needs %d with %d MB each, and others have them", n.GPUs, n.GPUMemory>>20)
		if n.GPUMemory == 0 {
			words = fmt.Sprintf("it needs %d whole GPUs, and others have them", n.GPUs)
		}
	}
	e := function.Errorf(function.CodeNoCapacity, "there is no room for one more worker: %s", words)
	e.RetryAfter = time.Second
	return e
}
