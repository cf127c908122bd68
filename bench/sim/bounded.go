package main

import (
	"cmp"
	"math"
	"slices"
)

// bounded is consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): the
// first server on the ring after the function's place whose load is at most 1.25 times
// the mean. Servers are weighed by what they can do, in places and in load.
type bounded struct {
	rings map[bool][]place // for those with a GPU and those without
}

// A place on the ring is one of a server's.
type place struct {
	at     uint64
	member *member
}

const bound = 1.25

func newBounded(n *front) *bounded {
	b := &bounded{rings: map[bool][]place{}}
	for _, gpu := range []bool{false, true} {
		b.rings[gpu] = ring(n.members, &function{gpu: gpu})
	}
	return b
}

func ring(members []*member, f *function) (list []place) {
	for i, m := range members {
		for k := range int(math.Ceil(8 * power(f, m))) {
			list = append(list, place{hash(uint64(i), uint64(k), 1), m})
		}
	}
	slices.SortFunc(list, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	return list
}

func (b *bounded) pick(r *run, from []*member) *member {
	load, all := 1, 0.0
	for _, m := range from {
		if r.usable(m) {
			load += m.load
			all += power(r.f, m)
		}
	}
	ring := b.rings[r.f.gpu]
	first, _ := slices.BinarySearchFunc(ring, hash(uint64(r.f.id), 0, 2), func(p place, at uint64) int { return cmp.Compare(p.at, at) })
	for i := range ring {
		m := ring[(first+i)%len(ring)].member
		most := math.Ceil(bound * float64(load) * power(r.f, m) / all)
		if float64(m.load+1) <= most && r.usable(m) && m.server.fits(r.f) {
			return m
		}
	}
	return nil
}

// hash mixes numbers into one, always the same: SplitMix64's finalizer (Steele, Lea, Flood 2014).
func hash(values ...uint64) uint64 {
	h := uint64(0)
	for _, v := range values {
		h += v + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}
