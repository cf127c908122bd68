package placement

import (
	"math"
	"slices"
	"time"
)

// A candidate is a host where the function could be started.
type candidate struct {
	host    *Host // nil: none
	cost    float64
	retryAt time.Time // when the first of the hosts that are set aside is tried again; zero: none is
	flaps   bool      // some of those only come and go
}

// coldest returns the host to start at: of those that cost little more than the cheapest, the first by rank.
func (q *question) coldest() candidate {
	best, least := q.firstNear(math.Inf(1))
	if best.cost > enough(least) { // chosen before the cheapest was seen
		best, _ = q.firstNear(least)
	}
	return best
}

// firstNear looks once at all hosts and returns the first by rank of those that cost little more than
// the cheapest so far. What the cheapest is at most is given, and returned.
func (q *question) firstNear(least float64) (best candidate, cheapest float64) {
	top := math.Inf(-1)
	for _, h := range q.snapshot.Hosts {
		if till := q.asideTill(h); !till.IsZero() {
			best.retryAt = sooner(best.retryAt, till, q.now)
			best.flaps = best.flaps || h.Breaker.Flapping()
			continue
		}
		cost, ok := q.coldCost(h)
		if !ok {
			continue
		}
		least = min(least, cost)
		if cost > enough(least) {
			continue
		}
		if rank := Rank(q.f, h); rank > top {
			best.host, best.cost, top = h, cost, rank
		}
	}
	return best, least
}

// coldCost is what the run costs with a start at the host, which is not set aside; not ok: it cannot be started there.
func (q *question) coldCost(h *Host) (cost float64, ok bool) {
	if h.Full || slices.Contains(q.r.Tried, h) {
		return 0, false
	}
	found := Absent
	if s := q.f.at[h]; s != nil {
		if s.State != Cold {
			return 0, false
		}
		found = s.Present
	}
	lack, evicts := q.f.Need.lacks(h)
	if lack != nothing {
		return 0, false
	}
	return q.cold(h, found, evicts), true
}
