package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// A holder is one function at one member that has it, starts it, or had it: placement's Site, and
// what we keep beside it. Guarded.
type holder struct {
	placement.Site
	tally
	f       *fn
	m       *member
	fits    bool   // a server there still fits the function; only then f.place has the Site
	lease   string // ours, for this start
	start   *start // in flight; nil: none
	readyAt time.Time
	renewAt time.Time
	said    said // by the last report
}

// said is what a member's servers report of one function.
type said struct {
	listed       bool
	slots        int
	runs         int // in flight, and waiting there
	usual, start time.Duration
}

// holderAt returns the function's record at a member, and makes it where there is none. It wants the lock.
func holderAt(f *fn, m *member) *holder {
	if h := m.holders[f.id]; h != nil {
		return h
	}
	h := &holder{f: f, m: m}
	h.Site = placement.Site{Host: m.host, Owner: h}
	m.holders[f.id] = h
	f.holders = append(f.holders, h)
	h.refit()
	return h
}

// refit looks again at whether the member's servers fit. Placement sees only those that do. It wants the lock.
func (h *holder) refit() {
	c, ok := fit(h.m, h.f.spec.Kind, h.f.spec.Require.Labels)
	switch {
	case ok && !h.fits:
		h.f.place.Add(&h.Site)
	case !ok && h.fits:
		h.f.place.Remove(h.m.host)
	}
	h.fits = ok
	if ok {
		h.setSlots(c)
	}
}

// setLoad says how many runs are there. Others' never count as so many that we would have less than a
// quarter of the slots: else two balancers with the same servers could keep each other out. It wants the lock.
func (h *holder) setLoad() {
	h.Load = h.ours + min(h.others, max(0, h.Slots-max(1, h.Slots/4)))
}

// setSlots says how many runs the site may have at once. Where the servers do not say it,
// it is what they are good for by their size. It wants the lock.
func (h *holder) setSlots(c fitting) {
	if h.said.slots == 0 {
		h.Slots = slotsOf(c, h.f.spec.Require)
		return
	}
	h.Slots = h.said.slots + underway(h.said.slots, h.m.host.RTT, h.f.place.RunTime(h.m.host))
}

// maxUnderway bounds, for each slot, the runs that may be on their way to it.
const maxUnderway = 64

// underway is how many runs more than there are slots keep them busy though an answer and the next run
// spend a round trip on the way. They wait there for no longer than that; where it would be less than a
// tenth of a run in all, none goes ahead, since one slot may wait for it for a whole run. It is what a
// pipe holds: bandwidth times delay.
func underway(slots int, rtt, run time.Duration) int {
	if run <= 0 || rtt <= 0 {
		return slots
	}
	return min(int(float64(slots)*float64(rtt)/float64(run)+0.9), maxUnderway*slots)
}

// runsPerCPU is how many runs we send to a server at a time for each of its
// CPUs where it does not say what it can have.
const runsPerCPU = 4

// slotsOf returns how many runs of a function its servers at one member are good for.
func slotsOf(c fitting, r function.Requirements) int {
	if r.Workers > 0 {
		return c.servers * r.Workers * max(1, r.Concurrency)
	}
	return max(c.cpus*runsPerCPU, r.Concurrency)
}

// cool notes that the member has the function no more, or does not get it. It wants the lock.
func (h *holder) cool() {
	h.State, h.start, h.lease = placement.Cold, nil, ""
}

// forget drops the record. Dispatches that still point to it are released as always. It wants the lock.
func (h *holder) forget() {
	h.cool()
	if h.fits {
		h.f.place.Remove(h.m.host)
		h.fits = false
	}
	delete(h.m.holders, h.f.id)
	for i, other := range h.f.holders {
		if other == h {
			last := len(h.f.holders) - 1
			h.f.holders[i] = h.f.holders[last]
			h.f.holders[last] = nil
			h.f.holders = h.f.holders[:last]
			return
		}
	}
}

// ready reports whether some member that fits has the function. It wants the lock.
func (f *fn) ready() bool { return f.has(placement.Ready) }

// starting reports whether some member that fits is starting it. It wants the lock.
func (f *fn) starting() bool { return f.has(placement.Starting) }

func (f *fn) has(s placement.State) bool {
	for _, site := range f.place.Sites {
		if site.State == s {
			return true
		}
	}
	return false
}

// held reports whether some member, fitting or not, has it or is starting it. It wants the lock.
func (f *fn) held() bool {
	for _, h := range f.holders {
		if h.State != placement.Cold {
			return true
		}
	}
	return false
}
