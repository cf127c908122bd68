package placement

import (
	"math/rand/v2"
	"testing"
)

func equalHosts(n int) []*Host {
	rng := rand.New(rand.NewPCG(3, 4))
	var hosts []*Host
	for range n {
		hosts = append(hosts, &Host{Seed: rng.Uint64(), CPUs: 4})
	}
	return hosts
}

// homes says where each of so many functions that nobody has yet would be started.
func homes(hosts []*Host, functions int) []*Host {
	rng := rand.New(rand.NewPCG(5, 6))
	var out []*Host
	for range functions {
		f := &Function{Seed: rng.Uint64()}
		out = append(out, Place(SnapshotOf(hosts), f, Request{Waiting: 1}, testNow).Start)
	}
	return out
}

// A host that comes takes its share of the functions; no other function gets another home.
func TestANewHostMovesFunctionsToItselfOnly(t *testing.T) {
	const functions = 2000
	hosts := equalHosts(10)
	before, after := homes(hosts[:9], functions), homes(hosts, functions)
	moved := 0
	for i := range before {
		if before[i] == after[i] {
			continue
		}
		moved++
		if after[i] != hosts[9] {
			t.Fatalf("function %d went from one old host to another", i)
		}
	}
	if moved < functions/20 || moved > functions/5 { // a tenth is expected; the standard deviation is 13
		t.Errorf("%d of %d functions moved", moved, functions)
	}
}

func TestFunctionsFollowTheWeights(t *testing.T) {
	const functions = 4000
	hosts := equalHosts(4) // of 4 CPUs each; weights 1, 1, 2 and 4 of 8 with what follows
	hosts[2].CPUs, hosts[3].CPUs = 8, 8
	hosts[3].Strength = 2
	count := map[*Host]int{}
	rng := rand.New(rand.NewPCG(7, 8))
	for range functions {
		f := &Function{Seed: rng.Uint64()}
		best := hosts[0]
		for _, h := range hosts[1:] {
			if Rank(f, h) > Rank(f, best) {
				best = h
			}
		}
		count[best]++
	}
	for i, want := range []int{500, 500, 1000, 2000} { // standard deviations of 21 to 32
		if got := count[hosts[i]]; got < want-150 || got > want+150 {
			t.Errorf("host %d is first for %d functions, want about %d", i, got, want)
		}
	}
}

func TestGPUFunctionsAreWeighedByGPUs(t *testing.T) {
	f := &Function{Need: Need{GPUs: 1}}
	if got := weight(f, &Host{CPUs: 64, GPUs: make([]Room, 2)}); got != 2 {
		t.Errorf("weight %v, want its 2 GPUs", got)
	}
}
