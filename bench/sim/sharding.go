package main

import (
	"math/rand/v2"
	"slices"
)

// sharding is what OpenWhisk's controller does (ShardingContainerPoolBalancer): each function has a
// home invoker by its hash, and steps on from there by a number that has no divisor in
// common with how many there are. It takes the first that has memory for one more run; if none
// has, one at random. A run's memory is its function's. For GPUs, of which OpenWhisk knows
// nothing, their memory is counted the same way.
type sharding struct {
	rand  *rand.Rand
	used  map[*member]*slots // never ranged over
	steps map[int][]int      // of so many invokers
}

// slots is what the runs at a member take.
type slots struct{ memory, gpuMemory int64 }

func newSharding(n *front, random *rand.Rand) *sharding {
	p := &sharding{rand: random, used: map[*member]*slots{}, steps: map[int][]int{}}
	for _, m := range n.members {
		p.used[m] = &slots{}
	}
	return p
}

func (p *sharding) pick(r *run, from []*member) *member {
	n := len(from)
	if n == 0 {
		return nil
	}
	h := hash(uint64(r.f.id), 0, 3)
	steps := p.stepsOf(n)
	at, step := int(h%uint64(n)), steps[h%uint64(len(steps))]
	for range n {
		if m := from[at]; r.usable(m) && p.hasRoom(r.f, m) {
			return p.acquire(r.f, m)
		}
		at = (at + step) % n
	}
	if m := choose(p.rand, r, from, nil); m != nil {
		return p.acquire(r.f, m)
	}
	return nil
}

func (p *sharding) hasRoom(f *function, m *member) bool {
	u := p.used[m]
	return u.memory+f.memory <= m.server.memory && u.gpuMemory+f.gpuMemory <= int64(m.server.gpus)*m.server.gpuMemory
}

func (p *sharding) acquire(f *function, m *member) *member {
	p.used[m].memory += f.memory
	p.used[m].gpuMemory += f.gpuMemory
	return m
}

func (p *sharding) released(r *run, m *member) {
	p.used[m].memory -= r.f.memory
	p.used[m].gpuMemory -= r.f.gpuMemory
}

// coprimes are the numbers up to n that have no divisor in common with it nor with each other.
func coprimes(n int) []int {
	list := []int{1}
	for x := 2; x <= n; x++ {
		if gcd(x, n) == 1 && !slices.ContainsFunc(list[1:], func(y int) bool { return gcd(x, y) != 1 }) {
			list = append(list, x)
		}
	}
	return list
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (p *sharding) stepsOf(n int) []int {
	if p.steps[n] == nil {
		p.steps[n] = coprimes(n)
	}
	return p.steps[n]
}
