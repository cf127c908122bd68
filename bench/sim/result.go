package main

import (
	"slices"
	"time"
)

// A tally counts how calls end.
type tally struct {
	ended     int
	outcomes  [outcomes]int
	latencies []float64     // seconds; of a call without a result: its time limit
	slowdowns []float64     // latency over what the call takes on an idle server of strength 1
	sojourn   time.Duration // the sum of what calls really took
	spent     []spent
}

// count counts an ended call. One without a result counts as if it had taken its whole time limit:
// so nobody looks fast by losing what is slow.
func (t *tally) count(r *run, o outcome, took time.Duration) {
	t.ended++
	if r.aside {
		return
	}
	t.outcomes[o]++
	t.sojourn += took
	if o != finished {
		took = r.f.limit
	}
	r.spent.latency, r.spent.slowdown = took.Seconds(), took.Seconds()/max(r.ideal(), time.Millisecond).Seconds()
	t.spent = append(t.spent, r.spent)
	t.latencies = append(t.latencies, took.Seconds())
	t.slowdowns = append(t.slowdowns, r.spent.slowdown)
}

// A result is what a policy made of a trace.
type result struct {
	calls    int
	mean     float64 // seconds, as p50 and p99
	p50      float64
	p99      float64
	slowdown float64 // the 99th percentile of latency over what the call itself takes
	starts   int     // of workers
	lost     int
	late     int // cut at their limit, or it passed before they began
	refused  int
	wasted   float64 // GB·h of memory that workers had while no run used it
	balance  float64 // Jain's index of how much each CPU did: 1 is even
	length   time.Duration
	worst    spent // what the hundredth of calls with the greatest slowdown spent their time on, the mean
	slowest  spent // likewise with the greatest latency
}

func (n *front) result() result {
	t := &n.tally
	slices.Sort(t.latencies)
	slices.Sort(t.slowdowns)
	r := result{
		calls: len(t.latencies), mean: mean(t.latencies), p50: quantile(t.latencies, 0.5), p99: quantile(t.latencies, 0.99),
		slowdown: quantile(t.slowdowns, 0.99),
		lost:     t.outcomes[lost], late: t.outcomes[timedOut], refused: t.outcomes[refused], length: n.loop.now,
	}
	var uses []float64
	for _, m := range n.members {
		s := m.server
		s.room.spend(0)
		s.cpu.advance()
		r.starts += s.starts
		r.wasted += s.room.wasted / giga / 3600
		uses = append(uses, s.use())
	}
	r.balance = jain(uses)
	r.worst = worstOf(t.spent, func(s spent) float64 { return s.slowdown })
	r.slowest = worstOf(t.spent, func(s spent) float64 { return s.latency })
	return r
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(1, len(values)))
}

// quantile is the value below which so much of the sorted values lies (nearest rank).
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// jain is Jain's fairness index (Jain, Chiu, Hawe 1984): 1 when all are alike, 1/n when one has all.
func jain(values []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(values)) * squares)
}

// use is what the server's CPUs did, for what they can do; with GPUs, those.
func (s *server) use() float64 {
	if s.gpus == 0 {
		return s.cpu.work / (float64(s.cpus) * s.strength)
	}
	sum := 0.0
	for _, u := range s.units {
		u.advance()
		sum += u.work
	}
	return sum / (float64(s.gpus) * s.gpuSpeed)
}
