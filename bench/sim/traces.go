package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// A maker makes a trace from a seed. Size 1 is the whole; less makes it shorter.
type maker struct {
	name, about string
	make        func(r *rand.Rand, size float64) *trace
}

func (m maker) trace(seed uint64, size float64) *trace {
	t := m.make(rand.New(rand.NewPCG(seed, hash(uint64(len(m.name)), uint64(m.name[0])))), size)
	t.name, t.about = m.name, m.about
	t.settle()
	return t
}

// settle leaves the first eighth of the time out of the count: else the first start of each
// function, all at once on an empty platform, would be most of what is measured.
func (t *trace) settle() {
	end := t.calls[len(t.calls)-1].at
	for i := range t.calls {
		if t.calls[i].at < end/8 {
			t.calls[i].aside = true
		}
	}
}

var makers = []maker{
	{"steady", "200 functions on 16 equal servers of 8 CPUs and 16 GB, calls independent of each other, half of the CPUs busy", steady},
	{"bursts", "the same, a quarter busy; every 4 s on average one function, popular or not, is called 20 to 200 times in half a second", bursts},
	{"unequal", "16 servers with 2 to 64 CPUs of strength 0.5 to 2, 1 to 120 ms away, with 2 to 100 MB/s to them; half busy", unequal},
	{"gpu", "30 functions that need 4 to 20 GB of a GPU's memory and start in 1 to 60 s, on 6 servers with 1 to 4 GPUs of 24 to 80 GB, 1 to 60 ms away; half busy", gpus},
	{"faults", "16 equal servers, 0.4 busy: some die and come back empty, one flaps, some vanish for 20 s and come back, some are at a tenth of their speed for a minute", faults},
	{"big", "1,000 functions on 500 servers with 2 to 16 CPUs of strength 0.7 to 1.5, 0.3 busy", big},
	{"flood", "100 functions of 20 namespaces on 8 servers of 8 CPUs and 8 GB, 0.3 busy; for two minutes one namespace calls for 4 times what all servers can do. Only the others' calls count", flood},
	{"overload", "50 functions on 8 servers of 8 CPUs, half busy; for a minute 1.4 times what they can do is called for", overload},
}

func span(whole float64, size float64) time.Duration { return seconds(whole * size) }

func equal(n, cpus int, memory int64) (list []spec) {
	for range n {
		list = append(list, spec{cpus: cpus, strength: 1, memory: memory, rtt: time.Millisecond, bandwidth: 100e6})
	}
	return list
}

func steady(r *rand.Rand, size float64) *trace {
	x, servers, end := newMix(r, 200, 10), equal(16, 8, 16*giga), span(300, size)
	return &trace{functions: x.functions, servers: servers, calls: x.steady(0, end, 0.5, servers)}
}

func bursts(r *rand.Rand, size float64) *trace {
	x, servers, end := newMix(r, 200, 10), equal(16, 8, 16*giga), span(300, size)
	calls := x.steady(0, end, 0.25, servers)
	for at := seconds(4 * r.ExpFloat64()); at < end; at += seconds(4 * r.ExpFloat64()) {
		if fn := r.IntN(200); x.means[fn] <= 2 {
			calls = append(calls, x.burst(at, fn, 20+r.IntN(181))...)
		}
	}
	return &trace{functions: x.functions, servers: servers, calls: byTime(calls)}
}

// between draws evenly on a logarithmic scale.
func between(r *rand.Rand, least, most float64) float64 {
	return least * math.Pow(most/least, r.Float64())
}

func unequal(r *rand.Rand, size float64) *trace {
	x, end := newMix(r, 200, 10), span(300, size)
	var servers []spec
	for i := range 16 {
		cpus := 2 << (i % 6)
		servers = append(servers, spec{
			cpus: cpus, strength: between(r, 0.5, 2), memory: int64(max(4, 2*cpus)) * giga,
			rtt: seconds(between(r, 0.001, 0.12)), bandwidth: between(r, 2e6, 100e6),
		})
	}
	return &trace{functions: x.functions, servers: servers, calls: x.steady(0, end, 0.5, servers)}
}

func gpus(r *rand.Rand, size float64) *trace {
	x, end := newMix(r, 30, 5), span(900, size)
	servers := gpuServers(r)
	for i, f := range x.functions {
		f.gpu, f.gpuMemory, f.memory = true, int64(between(r, 4, 20)*giga), giga
		f.startWait, f.build, f.limit = seconds(between(r, 1, 60)), 0, 300*time.Second
		x.means[i], x.waits[i] = x.lognormal(0.5, 1.2, 0.02, 20), 0.95
	}
	can := 0.0
	for _, s := range servers {
		can += float64(s.gpus) * s.gpuSpeed
	}
	// steady aims at the CPUs: what it is given is what makes the GPUs half busy.
	share := 0.5 * can / 0.95 * 0.05 / ability(servers)
	return &trace{functions: x.functions, servers: servers, calls: x.steady(0, end, share, servers)}
}

func gpuServers(r *rand.Rand) (list []spec) {
	for i := range 6 {
		list = append(list, spec{
			cpus: 16, strength: 1, memory: 64 * giga, gpus: []int{1, 1, 2, 2, 4, 4}[i], gpuMemory: []int64{24, 48, 80}[i%3] * giga,
			gpuSpeed: between(r, 0.5, 1.5), rtt: seconds(between(r, 0.001, 0.06)), bandwidth: 50e6,
		})
	}
	return list
}

func faults(r *rand.Rand, size float64) *trace {
	x, servers, end := newMix(r, 200, 10), equal(16, 8, 16*giga), span(300, size)
	t := &trace{functions: x.functions, servers: servers, calls: x.steady(0, end, 0.4, servers)}
	at := func(share float64) time.Duration { return time.Duration(share * float64(end)) }
	for i := range 4 { // servers 0 to 3
		t.faults = append(t.faults, fault{at: at(0.15 + 0.7*r.Float64()), server: i, kind: dies, lasts: seconds(between(r, 2, 40))})
	}
	for from := at(0.2); from < at(0.7); from += 8 * time.Second { // one flaps
		t.faults = append(t.faults, fault{at: from, server: 4, kind: dies, lasts: 3 * time.Second})
	}
	for i := range 2 {
		t.faults = append(t.faults, fault{at: at(0.2 + 0.5*r.Float64()), server: 5 + i, kind: vanishes, lasts: 20 * time.Second})
		t.faults = append(t.faults, fault{at: at(0.2 + 0.5*r.Float64()), server: 7 + i, kind: slows, lasts: time.Minute, factor: 0.1})
	}
	return t
}

func big(r *rand.Rand, size float64) *trace {
	x, end := newMix(r, 1000, 50), span(40, size)
	var servers []spec
	for range 500 {
		cpus := 2 << r.IntN(4)
		servers = append(servers, spec{
			cpus: cpus, strength: between(r, 0.7, 1.5), memory: int64(2*cpus) * giga,
			rtt: seconds(between(r, 0.001, 0.03)), bandwidth: 50e6,
		})
	}
	return &trace{functions: x.functions, servers: servers, calls: x.steady(0, end, 0.3, servers)}
}

func flood(r *rand.Rand, size float64) *trace {
	x, servers, end := newMix(r, 100, 20), equal(8, 8, 8*giga), span(240, size)
	calls := x.steady(0, end, 0.3, servers)
	flooding := newMix(r, 4, 1)
	for i, f := range flooding.functions {
		f.id, f.namespace, f.memory = 100+i, 20, 512*mega
		flooding.means[i], flooding.waits[i] = between(r, 0.2, 2), 0.3
	}
	flooding.weigh([]float64{1, 1, 1, 1}, 20) // alike
	extra := flooding.steady(end/4, end*3/4, 4, servers)
	for i := range extra {
		extra[i].fn += 100
		extra[i].aside = true
	}
	return &trace{functions: append(x.functions, flooding.functions...), servers: servers, calls: byTime(calls, extra)}
}

func overload(r *rand.Rand, size float64) *trace {
	x, servers, end := newMix(r, 50, 10), equal(8, 8, 16*giga), span(300, size)
	return &trace{functions: x.functions, servers: servers, calls: byTime(
		x.steady(0, end/5, 0.5, servers), x.steady(end/5, end*2/5, 1.4, servers), x.steady(end*2/5, end, 0.5, servers),
	)}
}
