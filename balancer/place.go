package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A snapshot is what placement knows of the members for one function. It is a
// view of the guarded state, valid under the lock; placement only reads it.
type snapshot struct {
	holders   []*holder // members that have the function, or are starting it
	fitting   []fitting // all members with a server that fits the function
	lastFit   time.Time // when a server that fits was last there; zero: not remembered
	perMember int       // our runs at one member, at most
	grace     time.Duration
}

// A demand is what is to be placed.
type demand struct {
	f     *fn
	tried []*member // refused it already
}

// A verdict says what placement decided.
type verdict int

const (
	runAt     verdict = iota // run at decision.holder; it may still be starting
	startAt                  // start at decision.fitting, then run there
	waitUntil                // nobody fits, but somebody did a moment ago
	allFull                  // everybody who fits has as many runs as it may have
	exhausted                // everybody who fits refused, or enough of them did
	nobody                   // nobody fits
)

// A decision is what place answers.
type decision struct {
	verdict verdict
	holder  *holder
	fitting fitting   // for startAt
	widen   *fitting  // start there too, in the background
	until   time.Time // for waitUntil
}

// maxTries is how many members one run or start is tried at, in one go.
const maxTries = 4

// place decides where a function runs. See placement.md. It reads the snapshot
// and nothing else: no lock, no clock, no I/O.
func place(s snapshot, d demand, now time.Time) decision {
	if len(d.tried) >= maxTries {
		return decision{verdict: exhausted}
	}
	ready, starting := bestHolders(s, d)
	if ready != nil {
		out := decision{holder: ready}
		if ready.inFlight >= ready.slots && starting == nil && !now.Before(d.f.widenAfter) {
			if c, ok := coldest(s, d); ok {
				out.widen = &c
			}
		}
		return out
	}
	if starting != nil && starting.inFlight < starting.slots {
		return decision{holder: starting}
	}
	if c, ok := coldest(s, d); ok {
		return decision{verdict: startAt, fitting: c}
	}
	if starting != nil {
		return decision{holder: starting}
	}
	return noPlace(s, d, now)
}

// noPlace says why there is no place.
func noPlace(s snapshot, d demand, now time.Time) decision {
	switch {
	case len(d.tried) > 0:
		return decision{verdict: exhausted}
	case len(s.fitting) > 0:
		return decision{verdict: allFull}
	case !s.lastFit.IsZero() && now.Before(s.lastFit.Add(s.grace)):
		return decision{verdict: waitUntil, until: s.lastFit.Add(s.grace)}
	}
	return decision{verdict: nobody}
}

// bestHolders returns the least busy of the ready holders, and of the starting ones.
func bestHolders(s snapshot, d demand) (ready, starting *holder) {
	for _, h := range s.holders {
		if !h.fits || h.m.inFlight >= s.perMember || triedAt(d, h.m) {
			continue
		}
		best := &ready
		if h.start != nil {
			best = &starting
		}
		if *best == nil || lessBusy(d.f, h, *best) {
			*best = h
		}
	}
	return ready, starting
}

// lessBusy compares runs in flight relative to slots; equals have an order of
// their own for each function, so that functions spread.
func lessBusy(f *fn, a, b *holder) bool {
	x, y := a.inFlight*b.slots, b.inFlight*a.slots
	return x < y || x == y && order(f, a.m) < order(f, b.m)
}

// coldest returns the member where the function should be started next: one
// that says it has it warm, else the least busy.
func coldest(s snapshot, d demand) (best fitting, ok bool) {
	var bestWarm bool
	var bestOrder uint64
	for _, c := range s.fitting {
		if c.m.inFlight >= s.perMember || c.m.holders[d.f.id] != nil || triedAt(d, c.m) {
			continue
		}
		warm, ord := c.m.warm[d.f.id], order(d.f, c.m)
		x, y := 0, 0
		if ok {
			x, y = c.m.inFlight*best.cpus, best.m.inFlight*c.cpus
		}
		better := warm && !bestWarm || warm == bestWarm && (x < y || x == y && ord < bestOrder)
		if !ok || better {
			best, bestWarm, bestOrder, ok = c, warm, ord, true
		}
	}
	return best, ok
}

func triedAt(d demand, m *member) bool {
	for _, t := range d.tried {
		if t == m {
			return true
		}
	}
	return false
}

// order ranks the members for a function: rendezvous hashing, so that a member
// that comes or goes changes the rank of no other.
func order(f *fn, m *member) uint64 {
	x := f.seed ^ m.seed // then splitmix64's finalizer
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// runsPerCPU is how many runs we send to a server at a time for each of its
// CPUs before we look for a further server.
const runsPerCPU = 4

// slotsOf returns how many runs of a function its servers at one member are good for.
func slotsOf(c fitting, r function.Requirements) int {
	if r.Workers > 0 {
		return c.servers * r.Workers * max(1, r.Concurrency)
	}
	return max(c.cpus*runsPerCPU, r.Concurrency)
}
