package placement

import "math"

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
