package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/gpu"
)

// minIdle is how long a worker must have been idle before it may be evicted: one that
// has just answered is the likeliest to be asked again.
const minIdle = 250 * time.Millisecond

// A need is what one more worker takes of the machine.
type need struct {
	Memory    int64 // bytes, as it counts: declared, or the usual
	GPUs      int
	GPUMemory int64 // bytes on each; 0: not declared
	Spare     bool  // nobody waits for it: it is only to be kept warm
}

// An idleWorker may be evicted.
type idleWorker struct {
	Memory    int64
	GPUs      []string // UUIDs
	GPUMemory int64    // bytes on each
	Since     time.Time
	Unclaimed bool    // nobody holds a lease on its function
	Kept      bool    // its function asked for so many to be kept warm
	Value     float64 // see value
}

// A room is what the machine has and who has it.
type room struct {
	Budget int64 // bytes of memory for all workers; 0: no limit
	Taken  int64 // of that, with the workers that are about to end
	Ending int64 // of Taken: what those will give back
	GPUs   []gpu.Budget
	Back   []gpu.Budget // the GPUs as they will be when those have ended
	Idle   []idleWorker
}

// A verdict says whether there is room.
type verdict struct {
	Fits  bool
	GPUs  []string  // what to grant, when it fits
	Evict []int     // indexes of room.Idle: there is room when these have ended
	Wake  time.Time // when to ask again though nothing has ended; zero: never
}

// makeRoom decides whether one more worker fits, and which idle workers must end so
// that it does. It evicts nobody in vain, never a busy worker, none that has just
// become idle, and for a worker that is only to be kept warm none that is kept warm itself:
// such ones would drive each other out for ever. It is pure: see design.md.
func makeRoom(r room, n need, now time.Time) verdict {
	if r.fits(n, r.Taken, r.GPUs) {
		uuids, _ := place(r.GPUs, n)
		return verdict{Fits: true, GPUs: uuids}
	}
	taken, gpus := r.Taken-r.Ending, slices.Clone(r.Back)
	if r.fits(n, taken, gpus) {
		return verdict{} // it is on its way
	}
	order, wake := r.evictable(now, n.Spare)
	var evict []int
	for _, i := range order {
		evict = append(evict, i)
		taken -= r.Idle[i].Memory
		gpus = without(gpus, r.Idle[i])
		if r.fits(n, taken, gpus) {
			return verdict{Evict: r.spare(n, evict)}
		}
	}
	return verdict{Wake: wake}
}

func (r room) fits(n need, taken int64, gpus []gpu.Budget) bool {
	if !r.hasMemory(n, taken) {
		return false
	}
	_, ok := place(gpus, n)
	return ok
}

func (r room) hasMemory(n need, taken int64) bool { return r.Budget <= 0 || taken+n.Memory <= r.Budget }

// place chooses GPUs. Who needs none fits.
func place(gpus []gpu.Budget, n need) ([]string, bool) {
	if n.GPUs == 0 {
		return nil, true
	}
	return gpu.Place(gpus, n.GPUs, n.GPUMemory)
}

// evictable lists the idle workers in the order in which they may go, and tells when
// the first of those that are too young may. With sparing, those that are kept warm stay.
func (r room) evictable(now time.Time, sparing bool) (order []int, wake time.Time) {
	var young earliest
	for i, w := range r.Idle {
		if sparing && w.Kept {
			continue
		}
		if now.Sub(w.Since) < minIdle {
			young.add(w.Since.Add(minIdle))
			continue
		}
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return r.Idle[a].compare(r.Idle[b]) })
	return order, young.time
}

// compare orders by who is the least loss.
func (w idleWorker) compare(other idleWorker) int {
	return cmp.Or(
		last(w.Kept, other.Kept),
		last(!w.Unclaimed, !other.Unclaimed),
		cmp.Compare(w.Value, other.Value),
		w.Since.Compare(other.Since),
	)
}

// last orders false before true.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// spare leaves out of evict whoever the need can do without, the most valuable first.
func (r room) spare(n need, evict []int) []int {
	for i := len(evict) - 1; i >= 0; i-- {
		fewer := slices.Delete(slices.Clone(evict), i, i+1)
		taken, gpus := r.Taken-r.Ending, slices.Clone(r.Back)
		for _, j := range fewer {
			taken -= r.Idle[j].Memory
			gpus = without(gpus, r.Idle[j])
		}
		if r.fits(n, taken, gpus) {
			evict = fewer
		}
	}
	return evict
}

// without returns the GPUs as they are once w has ended.
func without(gpus []gpu.Budget, w idleWorker) []gpu.Budget {
	left := slices.Clone(gpus)
	for i, g := range left {
		if slices.Contains(w.GPUs, g.UUID) {
			left[i].Taken = max(0, g.Taken-w.GPUMemory)
			left[i].Workers = max(0, g.Workers-1)
		}
	}
	return left
}

// value is what it would cost to lose an idle worker, by the Greedy-Dual-Size-Frequency
// rule (Cherkasova 1998; for keeping functions warm: FaasCache, Fuerst and Sharma, ASPLOS
// 2021): clock + frequency * cost / size. frequency is the function's runs since it has
// been here, cost is what its start takes, size its memory. clock is the highest value
// that was evicted so far when the worker was last used, so that what was once
// hot grows old. FaasCache measured fewer cold starts with it than with the least
// recently used first or a fixed time to live.
func value(clock float64, runs int64, start time.Duration, memory int64) float64 {
	return clock + float64(runs)*start.Seconds()/(float64(max(memory, 1<<20))/(1<<20))
}
