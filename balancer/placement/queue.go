package placement

import "math"

// lookAtSites counts what there is of the function when no slot is free.
func (q *question) lookAtSites() {
	q.sitesSeen = sitesSeen{cheapest: math.Inf(1)}
	for _, s := range q.f.Sites {
		if s.State == Ready {
			q.wake = sooner(q.wake, q.asideTill(s.Host), q.now)
		}
		switch {
		case !q.concerns(s):
			continue
		case s.State == Starting && (q.isStuck(s) || !q.counts(s)):
			q.doubtful++
			continue
		case !q.counts(s):
			continue
		case s.State == Ready:
			q.busy++
		default:
			q.starting++
			q.wake = sooner(q.wake, q.stuckAt(s), q.now)
		}
		q.cheapest = min(q.cheapest, q.plain(s.Host))
	}
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
	verdict := Wait
	if q.busy+q.starting+q.doubtful == 0 {
		verdict = NoRoom
	}
	return Decision{Verdict: verdict, Until: c.retryAt}
}
