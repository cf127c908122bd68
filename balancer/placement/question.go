package placement

import (
	"slices"
	"time"
)

// The numbers by which Place decides; design.md says why these.
const (
	near      = 1.25                   // hosts that cost at most so many times the least are as good as the cheapest
	slack     = 0.25                   // but by at most so many seconds
	while     = 10 * time.Second       // for so long a start is expected to be of use
	look      = 20 * time.Millisecond  // runs that take less are not worth a look at all hosts, which takes up to 0.1 ms
	patience  = 0.25                   // a run waits for a warm place so much of what a cold one would cost it more
	lookAgain = 100 * time.Millisecond // a run that waits though a slot is free asks again so soon
	worth     = 1.5                    // a start pays if the queue would last longer than so many times its cost
)

// A question is one call of Place, and what it has found out so far.
type question struct {
	snapshot Snapshot
	r        Request
	now      time.Time
	last     bool // nobody else can be used, so hosts that flap are
	pricer
	sitesSeen
}

// sitesSeen is what lookAtSites finds.
type sitesSeen struct {
	busy     int       // ready sites; none of them has a free slot
	starting int       // sites on their way, but for stuck ones
	doubtful int       // starts that take much longer than expected, or at hosts that are set aside
	cheapest float64   // cost of the best of those that are busy or starting, once it has a free slot; +Inf: none
	wake     time.Time // when the first start counts as stuck, or a ready host is no longer set aside; zero: never
}

// enough is what a host may cost to be as good as the cheapest.
func enough(least float64) float64 { return least + min((near-1)*least, slack) }

// usable reports whether this run may be sent to the host, or a start for it.
func (q *question) usable(h *Host) bool {
	return !h.Full && !h.quiet(q.now) && q.allows(h) && !slices.Contains(q.r.Tried, h)
}

// allows reports whether the host's breaker lets the run through.
func (q *question) allows(h *Host) bool {
	return h.Breaker.Allows(q.now) || q.last && h.Breaker.Flapping()
}

// asideTill is when to look again at a host that is set aside for now; zero: it is not.
func (q *question) asideTill(h *Host) time.Time {
	if q.allows(h) && !h.quiet(q.now) {
		return time.Time{}
	}
	return h.asideTill(q.now)
}

// counts reports whether something of the function is there that this run may count on. A host
// that is full for now will have room again, and one that is tried by a run or a start will soon be known.
func (q *question) counts(s *Site) bool {
	h := s.Host
	return q.concerns(s) && (h.Breaker.probing || q.allows(h))
}

// concerns reports whether the site has something of the function, at a host where this run may go.
func (q *question) concerns(s *Site) bool {
	return s.State != Cold && !slices.Contains(q.r.Tried, s.Host) && q.snapshot.contains(s.Host)
}

// sooner is the earlier of two times at which a host is tried again. at counts only if it is to come.
func sooner(first, at, now time.Time) time.Time {
	if at.IsZero() || !at.After(now) || !first.IsZero() && first.Before(at) {
		return first
	}
	return at
}
