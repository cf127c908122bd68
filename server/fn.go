package server

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/codestore"
	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// A fn is what the owner knows of one function. Fields are the owner's, but
// for those that say otherwise.
type fn struct {
	id   function.ID
	spec function.Spec // does not change
	blob *codestore.Blob
	// dir is the function's directory; it does not change.
	dir string
	// user is the uid that its workers run with; 0: ours. It does not change.
	user int
	// command is how to start a worker; nil until the first start prepared it.
	command *kind.Command

	leases    map[string]time.Time // when each ends
	graceEnds time.Time
	inits     []*initCall
	queue     list.List // of *call, the oldest first
	crowded   time.Time // see view.Crowded

	slots    []*slot // workers that are up
	free     []*slot // those with room for a run; the most recently used last
	starting int
	started  int64 // starts so far
	wants    int   // further workers, for which there is no room yet
	// wantsSpare says that nobody waited for those when they were asked for.
	wantsSpare bool
	perSlot    int // runs that a worker takes at once
	everUp     bool
	ends       sync.WaitGroup // counts processes; anybody may wait

	running      int
	runs         int64         // ended ones
	runTime      time.Duration // the lowest of late
	usualTime    time.Duration // what most runs of late took at least, see took
	startTime    time.Duration // what a start takes, the mean of late
	fastestStart time.Duration
	startBegan   time.Time // when the first of those under way did, or earlier
	crashes      int       // workers that crashed one after the other
	failures     int       // starts that failed one after the other
	retryAt      time.Time
	// lastFailure is why the last start failed.
	lastFailure *function.Error

	removed   bool
	wake      time.Time
	wakeIndex int // in the owner's wakes; -1: not there
}

func newFn(id function.ID, spec function.Spec, blob *codestore.Blob, dir string) *fn {
	return &fn{id: id, spec: spec, blob: blob, dir: dir, leases: map[string]time.Time{}, perSlot: 1, wakeIndex: -1}
}

// ready reports whether Init has nothing to do but to grant a lease: workers
// are up, or were and can be started at any time.
func (f *fn) ready() bool { return f.everUp && (f.failures == 0 || len(f.slots) > 0) }

// leased reports whether the claim lets its holder in.
func (f *fn) leased(c function.Claim, now time.Time) bool {
	ends, ok := f.leases[c.Lease]
	return ok && ends.After(now) && c.Covers(f.spec.Namespace)
}

// holds reports whether the lease was granted before.
func (f *fn) holds(lease function.Lease) bool {
	_, ok := f.leases[lease.ID]
	return ok
}

// grant gives or renews a lease.
func (f *fn) grant(lease function.Lease, now time.Time) {
	f.leases[lease.ID] = now.Add(bounded(lease.TTL))
}

// The bounds of a lease's time to live.
const (
	minLeaseTTL = time.Second
	maxLeaseTTL = time.Hour
)

func bounded(ttl time.Duration) time.Duration {
	if ttl <= 0 {
		return function.DefaultLeaseTTL
	}
	return min(max(ttl, minLeaseTTL), maxLeaseTTL)
}

// dropExpired ends the leases whose time is over.
func (f *fn) dropExpired(now time.Time, grace time.Duration) {
	for id, ends := range f.leases {
		if !ends.After(now) {
			f.endLease(id, now, grace)
		}
	}
}

// endLease ends one lease. After the last one the grace begins.
func (f *fn) endLease(id string, now time.Time, grace time.Duration) {
	if _, ok := f.leases[id]; !ok {
		return
	}
	delete(f.leases, id)
	if len(f.leases) == 0 {
		f.graceEnds = now.Add(grace)
	}
}

// idle lists the workers without a run, the longest idle first.
func (f *fn) idle() []*slot {
	var idle []*slot
	for _, s := range f.slots {
		if s.running == 0 {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b *slot) int { return a.idleSince.Compare(b.idleSince) })
	return idle
}

// max is how many workers f may have.
func (f *fn) max(o *owner) int {
	if f.spec.Require.Workers > 0 {
		return min(f.spec.Require.Workers, maxWorkers)
	}
	return o.workers
}

// warm is how many workers are kept though nobody asks for them.
func (f *fn) warm(o *owner) int { return min(f.spec.Require.Warm, f.max(o)) }

// unasked reports whether nobody waits for a worker of f.
func (f *fn) unasked() bool { return f.queue.Len()+len(f.inits) == 0 }

// view is the snapshot of f for plan.
func (f *fn) view(o *owner) view {
	v := view{
		Inits: len(f.inits), Waiting: f.queue.Len(), Running: f.running, RunTime: f.runTime,
		Live: len(f.slots), Starting: f.starting, Slots: f.perSlot,
		CPUs: o.cpus, Max: f.max(o), Warm: f.warm(o), MaxStarts: o.maxStarts, IdleTTL: o.idleTTL,
		EverUp: f.everUp, RetryAt: f.retryAt, Leases: len(f.leases), GraceEnds: f.graceEnds,
	}
	if oldest := f.queue.Front(); oldest != nil {
		v.Oldest, v.Crowded = oldest.Value.(*call).since, f.crowded
	}
	for _, s := range f.slots {
		if s.running >= s.process.Concurrency() && o.now.Sub(s.lastBegan) >= stuckAfter(f.runTime) {
			v.Stuck++
		}
	}
	for _, s := range f.idle() {
		v.Idle = append(v.Idle, s.idleSince)
	}
	var ends earliest
	for _, at := range f.leases {
		ends.add(at)
	}
	v.LeaseEnds = ends.time
	return v
}

// took takes note of a run's time. The lowest of late: it falls at once and
// rises slowly. The usual one: it falls quickly, and no single run lifts it by more than a half, since
// runs are refused for it.
func (f *fn) took(d time.Duration) {
	switch {
	case f.usualTime == 0:
		f.usualTime = d
	case d < f.usualTime:
		f.usualTime -= (f.usualTime - d) / 2
	default:
		f.usualTime += min(d-f.usualTime, 4*f.usualTime) / 8
	}
	if f.runTime == 0 || d < f.runTime {
		f.runTime = d
		return
	}
	f.runTime += (d - f.runTime) / 1024
}

// tookStart takes note of a start's time.
func (f *fn) tookStart(d time.Duration) {
	f.startTime = mean(f.startTime, d)
	if f.fastestStart == 0 || d < f.fastestStart {
		f.fastestStart = d
	}
}

// mean is the moving mean, in which the latest counts for an eighth.
func mean(before, latest time.Duration) time.Duration {
	if before == 0 {
		return latest
	}
	return before + (latest-before)/8
}
