package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// poisson is a trace of one function, warm on one server, whose runs take the CPU for
// exponential times of mean 1 s, as queueing theory has formulas for.
func poisson(cpus int, rate float64, calls int) *trace {
	r := rand.New(rand.NewPCG(1, 2))
	t := &trace{
		functions: []*function{{memory: mega, limit: 1000 * time.Hour}},
		servers:   []spec{{cpus: cpus, strength: 1, memory: giga, bandwidth: giga}},
	}
	at := time.Minute
	for range calls {
		at += seconds(r.ExpFloat64() / rate)
		t.calls = append(t.calls, call{at: at, work: r.ExpFloat64()})
	}
	return t
}

func meanTime(t *trace) float64 {
	return newFront(t, func(n *front) policy { return newDirect(n, &roundRobin{}) }).simulate().mean
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got/want-1) > tolerance {
		t.Errorf("%s is %.4f, the formula says %.4f", what, got, want)
	}
}

// A processor that is shared evenly: T = 1/(mu-lambda), as with a queue (Kleinrock 1967).
func TestOneSharedProcessorAsTheFormulaSays(t *testing.T) {
	for _, load := range []float64{0.3, 0.7} {
		// As many workers as calls at once may need: then only the CPU is waited for.
		got := meanTime(poisson(1, load, 40_000))
		near(t, "the mean time of M/M/1", got, 1/(1-load), 0.05)
	}
}

// With c processors and more jobs than those shared, as many are done in a second as with one queue, so
// that T is that of M/M/c: Erlang's C formula.
func TestManySharedProcessorsAsErlangSays(t *testing.T) {
	for _, c := range []int{2, 8} {
		const load = 0.7
		got := meanTime(poisson(c, load*float64(c), 40_000))
		near(t, "the mean time of M/M/c", got, 1+erlangC(c, load*float64(c))/(float64(c)*(1-load)), 0.05)
	}
}

// erlangC is the probability that a job waits, for c servers that are offered so much work.
func erlangC(c int, offered float64) float64 {
	blocked := 1.0 // Erlang's B, by its recursion
	for k := 1; k <= c; k++ {
		blocked = offered * blocked / (float64(k) + offered*blocked)
	}
	return blocked / (1 - offered/float64(c)*(1-blocked))
}

// A function that has memory for four workers, on a server with many CPUs, is a true queue: M/M/4.
func TestQueueForWorkersAsErlangSays(t *testing.T) {
	const workers, load = 4, 0.8
	tr := poisson(64, load*workers, 40_000)
	tr.servers[0].memory = workers * mega // room for so many
	near(t, "the mean time of M/M/4", meanTime(tr), 1+erlangC(workers, load*workers)/(workers*(1-load)), 0.05)
}

// Little's law: what is there on average is what comes in a second times how long it stays.
func TestLittlesLaw(t *testing.T) {
	tr := poisson(4, 3, 30_000)
	n := newFront(tr, func(n *front) policy { return newDirect(n, &roundRobin{}) })
	there, last := 0.0, time.Duration(0)
	var sample func()
	sample = func() {
		there += float64(n.members[0].load)
		last = n.loop.now
		n.loop.after(100*time.Millisecond, sample)
	}
	sample()
	n.simulate()
	came := float64(len(tr.calls)) / last.Seconds()
	near(t, "the mean number of runs", there/(last.Seconds()*10), came*n.tally.sojourn.Seconds()/float64(len(tr.calls)), 0.02)
}
