package placement

import (
	"math"
	"time"
)

// What is assumed until something is measured. See design.md for where the numbers are from.
const (
	ordinaryCPUs    = 4
	ordinaryRTT     = 5 * time.Millisecond
	ordinaryRun     = 500 * time.Millisecond
	ordinaryStart   = 300 * time.Millisecond
	ordinaryCPUPart = 1 // how much of a run is work for the CPU
	slotsPerCPU     = 4 // runs of a function at a host that does not say how many it can have
)

// What a crowded host costs. See design.md.
const (
	crowdPrice = 1.5 // a run that makes a host crowded delays the others there as well: in all so many times its own delay
	softness   = 0.1 // how early crowding begins to count: at 0 only when all CPUs are taken
)

// evictionShare is what it costs to end idle workers of others, in starts of the function that wants their room:
// the next run of the other may have to start it again, or may never come.
const evictionShare = 0.5

func (h *Host) cpus() float64 {
	if h.CPUs <= 0 {
		return ordinaryCPUs
	}
	return float64(h.CPUs)
}

func (h *Host) strength() float64 {
	if h.Strength <= 0 {
		return 1
	}
	return h.Strength
}

func (h *Host) roundTrip() float64 {
	if h.RTT <= 0 {
		return ordinaryRTT.Seconds()
	}
	return h.RTT.Seconds()
}

// crowd is how many runs and starts share each CPU if one more comes, at least 1. It begins to rise a little
// before all CPUs are taken, for others come while a run is there: it is a smooth maximum of 1 and the load.
func (h *Host) crowd() float64 {
	load := float64(h.Load+h.Starting+1) / h.cpus()
	return (load + 1 + math.Sqrt((load-1)*(load-1)+softness)) / 2
}

// slots is how many runs the site can have at once.
func (s *Site) slots() int {
	if s.Slots > 0 {
		return s.Slots
	}
	return int(slotsPerCPU * s.Host.cpus())
}

// A pricer knows what a function costs at the hosts. Costs are seconds until a run's result would be
// there. It keeps what the hosts of one class have in common, because neighbours often are of one.
type pricer struct {
	f       *Function
	cpuPart float64
	start   float64 // the process's own, at strength 1
	class   string
	run     float64 // at strength 1, in the class
	priced  bool    // class and run are set
}

func price(f *Function) pricer {
	p := pricer{f: f, cpuPart: f.Times.cpuPart(), start: f.Start.Seconds()}
	if f.Start <= 0 {
		p.start = ordinaryStart.Seconds()
	}
	return p
}

// alone is the run time at a host where nothing else runs.
func (p *pricer) alone(h *Host) float64 {
	if !p.priced || h.Class != p.class {
		p.class, p.run, p.priced = h.Class, p.f.Times.reference(h.Class), true
		if p.run == 0 {
			p.run = ordinaryRun.Seconds()
		}
	}
	return p.run / h.strength() * h.slowdown()
}

// crowded is what a run costs with so many runs for each CPU: what of it is the CPU's takes longer, for it and for
// the others there.
func (p *pricer) crowded(alone, crowd float64) float64 {
	return alone * (1 + crowdPrice*p.cpuPart*(crowd-1))
}

// plain is the cost at a worker that has nothing else to do.
func (p *pricer) plain(h *Host) float64 {
	return h.roundTrip() + p.crowded(p.alone(h), h.crowd())
}

// warm is the cost at a worker that is there: round trip, backlog and run.
func (p *pricer) warm(s *Site) float64 {
	alone := p.alone(s.Host)
	backlog := float64(s.Load) / float64(s.slots()) * alone
	return s.Host.roundTrip() + backlog + p.crowded(alone, s.Host.crowd())
}

// cold is the cost where the function has to be started first.
func (p *pricer) cold(h *Host, found Presence, evicts bool) float64 {
	alone, crowd := p.alone(h), h.crowd()
	start := p.startTime(h, found, crowd)
	if evicts {
		start += evictionShare * start
	}
	backlog := float64(h.Load) / (slotsPerCPU * h.cpus()) * alone
	return h.roundTrip() + start + backlog + p.crowded(alone, crowd)
}

// startTime is what a start takes: what the host has to do for it, and the process itself.
func (p *pricer) startTime(h *Host, found Presence, crowd float64) float64 {
	return overhead(p.f, h, found) + p.start/h.strength()*crowd
}

// rest is how long a start in flight will still take. One that is late is expected to take a
// quarter of its age longer.
func (p *pricer) rest(s *Site, now time.Time) float64 {
	age := max(0, now.Sub(s.Began).Seconds())
	return max(p.startTime(s.Host, s.Present, s.Host.crowd())-age, age/4)
}

// stuckAt is when a start in flight counts as stuck, so that nobody should count on it.
func (p *pricer) stuckAt(s *Site) time.Time {
	return s.Began.Add(inSeconds(3*p.startTime(s.Host, s.Present, s.Host.crowd()) + 1))
}

// width is how many runs a site really gets on with at once: its slots, but
// for the CPU's part of them no more than the CPUs that others leave.
func (p *pricer) width(s *Site) float64 {
	slots := float64(s.slots())
	beside := max(0, s.Host.Load-s.Load)
	free := max(1, s.Host.cpus()-float64(beside))
	if slots <= free {
		return slots
	}
	return free + (1-p.cpuPart)*(slots-free)
}
