package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A mix draws functions and their calls as measured ones are.
//
// The shapes are those of the Azure Functions trace of 2019 (Shahrad et al., Serverless in the Wild, USENIX ATC
// 2020): run times log-normal with mu -0.38 and sigma 2.36 (in ln seconds, their figure 7), here cut off at 5 ms and 5 s;
// memory with a median of 170 MB and a 90th percentile of 400 MB (figure 8), here log-normal; popularity so uneven
// that a fifth of the functions gets nearly all calls (figure 5), here log-normal weights with sigma 2.5, the less the longer the
// runs are, none above 0.2 (0.02 of 1,000). The trace says nothing of starts: the figures here are ordinary for Python.
type mix struct {
	rand       *rand.Rand
	functions  []*function
	means      []float64 // seconds a call takes, by function
	waits      []float64 // share of it without the CPU
	cumulative []float64 // popularity
}

func newMix(r *rand.Rand, functions, namespaces int) *mix {
	x := &mix{rand: r}
	weights := make([]float64, functions)
	sum := 0.0
	for i := range functions {
		x.functions = append(x.functions, x.draw(i, r.IntN(namespaces)))
		x.means = append(x.means, x.lognormal(math.Exp(-0.38), 2.36, 0.005, 5))
		x.waits = append(x.waits, 0.8*r.Float64())
		weights[i] = x.lognormal(1, 2.5, 0.001, 1000) / (0.2 + x.means[i])
		sum += weights[i]
	}
	x.weigh(weights, sum)
	return x
}

func (x *mix) weigh(weights []float64, sum float64) {
	x.cumulative = nil
	most := min(0.2, 20/float64(len(weights)))
	total := 0.0
	for _, w := range weights {
		total += min(w/sum, most)
		x.cumulative = append(x.cumulative, total)
	}
}

// draw makes a function up.
func (x *mix) draw(id, namespace int) *function {
	f := &function{
		id: id, namespace: namespace,
		memory:    int64(x.lognormal(170, 0.67, 64, 1024)) * mega,
		code:      int64(x.lognormal(50e3, 2, 1e3, 50e6)),
		startWork: x.lognormal(0.25, 0.6, 0.05, 3),
		startWait: seconds(x.lognormal(0.05, 0.6, 0.01, 0.5)),
		limit:     60 * time.Second, // OpenWhisk's usual limit
	}
	if x.rand.Float64() < 0.3 {
		f.build = x.lognormal(3, 0.7, 0.5, 20)
	}
	return f
}

// lognormal draws with a median, cut off below and above.
func (x *mix) lognormal(median, sigma, least, most float64) float64 {
	return min(most, max(least, median*math.Exp(sigma*x.rand.NormFloat64())))
}

// pick draws a function by popularity.
func (x *mix) pick() int {
	at := x.rand.Float64() * x.cumulative[len(x.cumulative)-1]
	i, _ := slices.BinarySearch(x.cumulative, at)
	return min(i, len(x.functions)-1)
}

// call draws a call of a function. Calls of one function differ by a log-normal factor of mean 1.
func (x *mix) call(at time.Duration, fn int) call {
	const sigma = 0.3
	took := x.means[fn] * math.Exp(sigma*x.rand.NormFloat64()-sigma*sigma/2)
	return call{at: at, fn: fn, work: took * (1 - x.waits[fn]), wait: seconds(took * x.waits[fn])}
}

// work is the mean CPU time of a call.
func (x *mix) work() float64 {
	sum, before := 0.0, 0.0
	for i, c := range x.cumulative {
		sum += (c - before) * x.means[i] * (1 - x.waits[i])
		before = c
	}
	return sum / before
}

// steady draws calls that come independently of each other (Poisson), so that they use a share of what servers can do.
func (x *mix) steady(from, to time.Duration, share float64, servers []spec) (calls []call) {
	rate := share * ability(servers) / x.work()
	for at := from; ; {
		at += seconds(x.rand.ExpFloat64() / rate)
		if at >= to {
			return calls
		}
		calls = append(calls, x.call(at, x.pick()))
	}
}

// ability is the CPU seconds of strength 1 that servers can give in a second.
func ability(servers []spec) (sum float64) {
	for _, s := range servers {
		sum += float64(s.cpus) * s.strength
	}
	return sum
}

// burst draws many calls of one function in half a second.
func (x *mix) burst(at time.Duration, fn, n int) (calls []call) {
	for range n {
		calls = append(calls, x.call(at+seconds(0.5*x.rand.Float64()), fn))
	}
	return calls
}

// byTime merges calls.
func byTime(lists ...[]call) []call {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b call) int { return int(a.at - b.at) })
	return all
}
