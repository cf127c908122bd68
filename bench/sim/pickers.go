package main

import "math/rand/v2"

// anyone picks at random.
type anyone struct{ rand *rand.Rand }

func (p anyone) pick(r *run, from []*member) *member { return choose(p.rand, r, from, nil) }

// choose picks a usable member at random, other than one; nil: there is none.
func choose(random *rand.Rand, r *run, from []*member, other *member) *member {
	if len(from) == 0 {
		return nil
	}
	for range 20 { // nearly always the first
		if m := from[random.IntN(len(from))]; m != other && r.usable(m) {
			return m
		}
	}
	for _, m := range from {
		if m != other && r.usable(m) {
			return m
		}
	}
	return nil
}

// roundRobin picks one after the other.
type roundRobin struct{ next int }

func (p *roundRobin) pick(r *run, from []*member) *member {
	for range from {
		p.next++
		if m := from[p.next%len(from)]; r.usable(m) {
			return m
		}
	}
	return nil
}

// power is what a server can do of a function's work, as it tells when it joins.
func power(f *function, m *member) float64 {
	if f.gpu {
		return float64(m.server.gpus) * m.server.gpuSpeed
	}
	return float64(m.server.cpus) * m.server.strength
}

// pressure is a server's load, with one more run, for what it can do.
func pressure(f *function, m *member) float64 { return float64(m.load+1) / power(f, m) }

// leastLoaded picks the one with the least pressure; among equals at random.
type leastLoaded struct{ rand *rand.Rand }

func (p leastLoaded) pick(r *run, from []*member) *member {
	var best *member
	var least float64
	equal := 0
	for _, m := range from {
		if !r.usable(m) {
			continue
		}
		switch now := pressure(r.f, m); {
		case best == nil || now < least:
			best, least, equal = m, now, 1
		case now == least:
			if equal++; p.rand.IntN(equal) == 0 {
				best = m
			}
		}
	}
	return best
}

// twoChoices picks the better of two (Mitzenmacher 2001).
type twoChoices struct{ rand *rand.Rand }

func (p twoChoices) pick(r *run, from []*member) *member {
	a := choose(p.rand, r, from, nil)
	if a == nil {
		return nil
	}
	b := choose(p.rand, r, from, a)
	if b != nil && pressure(r.f, b) < pressure(r.f, a) {
		return b
	}
	return a
}
