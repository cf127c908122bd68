package placement

import "math"

// Rank says how well a host suits a function by hashing alone; the host with the highest comes
// first. It is weighted rendezvous hashing: each function has an order of its own of all hosts, a
// host is first for a share of the functions that follows its weight, and a host that
// comes or goes changes the order of no others. Source: Thaler and Ravishankar, "Using
// name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1), 1998;
// with weights in the form -w/ln(u) of Schindelhauer and Schomaker, "Weighted distributed hash
// tables", SPAA 2005.
func Rank(f *Function, h *Host) float64 {
	return -weight(f, h) / math.Log(uniform(f.Seed^h.Seed))
}

// weight is the size of a host for a function: its GPUs for one that needs them, otherwise its CPUs
// and what they are worth.
func weight(f *Function, h *Host) float64 {
	if f.Need.gpus() > 0 && len(h.GPUs) > 0 {
		return float64(len(h.GPUs))
	}
	return h.cpus() * h.strength()
}

// uniform makes a number between 0 and 1, both excluded, of a seed.
func uniform(seed uint64) float64 {
	return (float64(mix(seed)>>11) + 0.5) / (1 << 53)
}

// mix is the finalizer of splitmix64: every bit of x changes about half of the result's. Source: Steele,
// Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; constants: Stafford's variant 13.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
