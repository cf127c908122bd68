package main

import "math/rand/v2"

// A contender is a policy by name.
type contender struct {
	name string
	make func(n *front) policy
}

// oursName is the name of what the balancer does.
const oursName = "ours"

// contenders are the policies, ours first.
func contenders() []contender {
	return []contender{
		{oursName, func(n *front) policy { return newOurs(n) }},
		{"random", func(n *front) policy { return newDirect(n, anyone{dice(1)}) }},
		{"round robin", func(n *front) policy { return newDirect(n, &roundRobin{}) }},
		{"least loaded", func(n *front) policy { return newDirect(n, leastLoaded{dice(2)}) }},
		{"two choices", func(n *front) policy { return newDirect(n, twoChoices{dice(3)}) }},
		{"bounded hashing", func(n *front) policy { return newDirect(n, newBounded(n)) }},
		{"OpenWhisk", func(n *front) policy { return newDirect(n, newSharding(n, dice(4))) }},
	}
}

// dice are a policy's own random numbers, the same in each simulation.
func dice(policy uint64) *rand.Rand { return rand.New(rand.NewPCG(policy, 0)) }
