package placement

import (
	"math"
	"slices"
	"time"
)

// The numbers by which Place decides; design.md says why these.
const (
	near      = 1.25                   // hosts that cost at most so many times the least are as good as the cheapest
	patience  = 0.25                   // a run waits for a warm place so much of what a cold one would cost it more
	lookAgain = 100 * time.Millisecond // a run that waits though a slot is free asks again so soon
	worth     = 1.5                    // a start pays if the queue would last longer than so many times its cost
)

// A question is one call of Place, and what it has found out so far.
type question struct {
	snapshot Snapshot
	r        Request
	now      time.Time
	pricer
	sitesSeen
}

// sitesSeen is what lookAtSites finds.
type sitesSeen struct {
	busy     int       // ready sites; none of them has a free slot
	starting int       // sites on their way, but for stuck ones
	stuck    int       // starts that take much longer than expected
	cheapest float64   // cost of the best of those that are busy or starting, once it has a free slot; +Inf: none
	wake     time.Time // when the first start counts as stuck, or a ready host is no longer set aside; zero: never
}

// usable reports whether this run may be sent to the host, or a start for it.
func (q *question) usable(h *Host) bool {
	return !h.Full && !h.quiet(q.now) && h.Breaker.Allows(q.now) && !slices.Contains(q.r.Tried, h)
}

// warmest returns the site to run at and what that costs: of the ready ones with a free slot that
// cost little more than the cheapest, the first by rank. It looks at no other hosts.
func (q *question) warmest() (best *Site, cost float64) {
	least, several := math.Inf(1), false
	for _, s := range q.f.Sites {
		if !q.free(s) {
			continue
		}
		several = best != nil
		if c := q.warm(s); best == nil || c < least {
			best, least = s, c
		}
	}
	if !several {
		return best, least
	}
	top := math.Inf(-1)
	for _, s := range q.f.Sites {
		if !q.free(s) {
			continue
		}
		if c := q.warm(s); c <= near*least {
			if rank := Rank(q.f, s.Host); rank > top {
				best, cost, top = s, c, rank
			}
		}
	}
	return best, cost
}

// free reports whether the run could begin at the site now.
func (q *question) free(s *Site) bool {
	return s.State == Ready && s.Load < s.slots() && q.usable(s.Host) && q.snapshot.contains(s.Host)
}

// better looks for something better than the site, which has a free slot: its host may be so crowded, or so slow,
// that elsewhere the run would be over clearly sooner even with a start. Then the run waits for that start, which
// may be on its way; otherwise it is to begin.
func (q *question) better(site *Site, cost float64) (start *Host, wait bool) {
	h := site.Host
	if q.f.Times.all.count == 0 {
		return nil, false // what its runs take is a guess
	}
	if cost-h.roundTrip()-q.alone(h)/h.slowdown() < q.startTime(h, Prepared, 1) {
		return nil, false // no start costs less: not worth a look at all hosts
	}
	starting := false
	for _, s := range q.f.Sites {
		if s.State != Starting || !q.counts(s) || q.isStuck(s) {
			continue
		}
		starting = true
		if near*q.soon(s) < cost {
			return nil, true
		}
	}
	if starting {
		return nil, false // one at a time is enough: there is a place for everybody
	}
	if c := q.coldest(); c.host != nil && near*c.cost < cost {
		return c.host, true
	}
	return nil, false
}

// soon is the cost at a site that is on its way, with the queue that waits for it.
func (q *question) soon(s *Site) float64 {
	queue := float64(q.r.Waiting-1) / q.width(s) * q.alone(s.Host)
	return q.rest(s, q.now) + queue + q.plain(s.Host)
}

// A candidate is a host where the function could be started.
type candidate struct {
	host    *Host // nil: none
	cost    float64
	retryAt time.Time // when the first of the hosts that are set aside is tried again; zero: none is
}

// coldest returns the host to start at: of those that cost little more than the cheapest, the first by rank.
func (q *question) coldest() candidate {
	best, least := q.firstNear(math.Inf(1))
	if best.cost > near*least { // chosen before the cheapest was seen
		best, _ = q.firstNear(least)
	}
	return best
}

// firstNear looks once at all hosts and returns the first by rank of those that cost little more than
// the cheapest so far. What the cheapest is at most is given, and returned.
func (q *question) firstNear(least float64) (best candidate, cheapest float64) {
	top := math.Inf(-1)
	for _, h := range q.snapshot.Hosts {
		best.retryAt = sooner(best.retryAt, h.asideTill(q.now), q.now)
		cost, ok := q.coldCost(h)
		if !ok {
			continue
		}
		least = min(least, cost)
		if cost > near*least {
			continue
		}
		if rank := Rank(q.f, h); rank > top {
			best.host, best.cost, top = h, cost, rank
		}
	}
	return best, least
}

// sooner is the earlier of two times at which a host is tried again. at counts only if it is to come.
func sooner(first, at, now time.Time) time.Time {
	if at.IsZero() || !at.After(now) || !first.IsZero() && first.Before(at) {
		return first
	}
	return at
}

// coldCost is what the run costs with a start at the host; not ok: it cannot be started there.
func (q *question) coldCost(h *Host) (cost float64, ok bool) {
	if !q.usable(h) {
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

// lookAtSites counts what there is of the function when no slot is free.
func (q *question) lookAtSites() {
	q.cheapest = math.Inf(1)
	for _, s := range q.f.Sites {
		if s.State == Ready {
			q.wake = sooner(q.wake, s.Host.asideTill(q.now), q.now)
		}
		switch {
		case !q.counts(s):
			continue
		case s.State == Ready:
			q.busy++
		case q.isStuck(s):
			q.stuck++
			continue
		default:
			q.starting++
			q.wake = sooner(q.wake, q.stuckAt(s), q.now)
		}
		q.cheapest = min(q.cheapest, q.plain(s.Host))
	}
}

// counts reports whether something of the function is there that this run may yet get. A host
// that is full for now will have room again.
func (q *question) counts(s *Site) bool {
	h := s.Host
	return s.State != Cold && h.Breaker.Allows(q.now) && !slices.Contains(q.r.Tried, h) && q.snapshot.contains(h)
}

func (q *question) isStuck(s *Site) bool {
	return s.State == Starting && !q.stuckAt(s).After(q.now)
}

// gap is what the run costs more at a cold host than at a site once that has a free slot.
func (q *question) gap(c candidate) float64 {
	if math.IsInf(q.cheapest, 1) {
		return c.cost
	}
	return max(0, c.cost-q.cheapest)
}

// pays reports whether a start that costs so much more would help the queue: whether somebody in it would
// still wait by the time the start is clearly over.
func (q *question) pays(gap float64) bool {
	return q.served(worth*gap) < float64(q.r.Waiting)
}

// served is how many runs of the queue begin within so many seconds with what is there and on its way.
func (q *question) served(within float64) float64 {
	var runs float64
	for _, s := range q.f.Sites {
		if !q.counts(s) || q.isStuck(s) {
			continue
		}
		width, left := q.width(s), within
		if s.State == Starting {
			runs += width
			left = max(0, within-q.rest(s, q.now))
		}
		runs += width * left / max(q.alone(s.Host), 1e-6)
	}
	return runs
}

// nowhere answers when no slot is free and the function cannot be started anywhere else.
func (q *question) nowhere(c candidate) Decision {
	q.lookAtSites()
	verdict := Wait
	if q.busy+q.starting+q.stuck == 0 {
		verdict = NoRoom
	}
	return Decision{Verdict: verdict, Until: c.retryAt}
}
