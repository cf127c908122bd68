package placement

import "math"

// warmest returns the site to run at: of the ready ones with a free slot that
// cost little more than the cheapest, the first by rank. It looks at no other hosts.
func (q *question) warmest() (best *Site) {
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
		return best
	}
	top := math.Inf(-1)
	for _, s := range q.f.Sites {
		if !q.free(s) {
			continue
		}
		if c := q.warm(s); c <= enough(least) {
			if rank := Rank(q.f, s.Host); rank > top {
				best, top = s, rank
			}
		}
	}
	return best
}

// free reports whether the run could begin at the site now.
func (q *question) free(s *Site) bool {
	return s.State == Ready && s.Load < s.slots() && q.usable(s.Host) && q.snapshot.contains(s.Host)
}

// better looks for something better than the site, which has a free slot: its host may be so crowded, or so slow,
// that elsewhere the run would be over clearly sooner even with a start. Then the run waits for that start, which
// may be on its way; otherwise it is to begin. Where only the runs to come would gain, it is to begin as well, but nobody waits.
func (q *question) better(site *Site) (start *Host, wait bool) {
	cost := q.plain(site.Host) // a slot is free: the backlog is nobody's reason to go elsewhere
	if !q.worthALook(site, cost) {
		return nil, false
	}
	load, starting := 1, false
	for _, s := range q.f.Sites {
		load += s.Load
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
	c := q.coldest()
	switch {
	case c.host == nil:
		return nil, false
	case near*c.cost < cost:
		return c.host, true
	case q.invests(load, cost, c):
		return c.host, false
	}
	return nil, false
}

// worthALook reports whether the site's cost is so far from that of an idle host that others may be better.
func (q *question) worthALook(site *Site, cost float64) bool {
	if q.f.Times.all.count == 0 {
		return false // what its runs take is a guess
	}
	alone := q.alone(site.Host)
	idle := site.Host.roundTrip() + alone/site.Host.slowdown()
	return alone >= look.Seconds() && cost > enough(idle)
}

// invests reports whether a start at the candidate would save the runs of the next while more time than it takes. By
// Little's law, of so many in flight load × while ÷ cost come in that time.
func (q *question) invests(load int, cost float64, c candidate) bool {
	later := q.plain(c.host)
	runs := float64(load) * while.Seconds() / cost
	return cost > near*later && runs*(cost-later) > c.cost-later
}

// soon is the cost at a site that is on its way, with the queue that waits for it.
func (q *question) soon(s *Site) float64 {
	queue := float64(q.r.Waiting-1) / q.width(s) * q.alone(s.Host)
	return q.rest(s, q.now) + queue + q.plain(s.Host)
}
