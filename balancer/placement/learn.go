package placement

import (
	"math"
	"time"
)

// How fast old measurements fade: each new one counts for one in so many.
const (
	runWindow      = 16
	slowWindow     = 12
	rttWindow      = 8 // as TCP smooths its round trips, RFC 6298
	startWindow    = 4
	maxClasses     = 64  // run times are kept for so many classes of host; others share one
	knownRuns      = 4   // a class's run time says something about its hosts from so many on
	ordinarySpread = 1.5 // a host that is slower or faster by less than this factor is an ordinary one
)

// A mean follows a value that changes slowly: at first the plain mean, later a moving one.
type mean struct {
	value float64
	count int // up to the window
}

func (m *mean) add(sample float64, window int) {
	if m.count < window {
		m.count++
	}
	m.value += (sample - m.value) / float64(m.count)
}

// A runTime is what runs take, in seconds at strength 1 with nothing else on the host.
type runTime struct {
	mean
	log mean // of the logarithm: the typical run, which one long run does not move far
}

func (r *runTime) add(sample float64) {
	r.mean.add(sample, runWindow)
	r.log.add(math.Log(sample), runWindow)
}

// RunTimes is what one function's runs take, by class of host. The zero value knows nothing.
type RunTimes struct {
	byClass map[string]runTime
	all     runTime
	cpu     mean // how much longer runs took on crowded hosts: 0 not at all, 1 as if all of a run were work for the CPU
}

// reference is the run time at strength 1 in a class, in seconds; 0: not known. A class of which little
// is known is taken to be like the others.
func (t *RunTimes) reference(class string) float64 {
	known := t.byClass[class]
	part := float64(known.count) / runWindow
	return part*known.value + (1-part)*t.all.value
}

func (t *RunTimes) cpuPart() float64 {
	if t.cpu.count == 0 {
		return ordinaryCPUPart
	}
	return t.cpu.value
}

// Ran tells that a run of f at h took so long in the function itself, without any waiting. It
// is to be told while h.Load still counts the run.
func (f *Function) Ran(h *Host, took time.Duration) {
	t := &f.Times
	seconds := max(took, time.Microsecond).Seconds() * h.strength()
	crowd := max(1, float64(h.Load+h.Starting)/h.cpus())
	known := t.byClass[h.Class]
	if known.count >= knownRuns {
		t.learnCPU(seconds/h.slowdown()/known.value, crowd)
		typical := math.Exp(known.log.value) * (1 + t.cpuPart()*(crowd-1))
		h.learnSlowdown(seconds / typical)
	}
	alone := seconds / (1 + t.cpuPart()*(crowd-1))
	t.all.add(alone)
	if t.byClass == nil {
		t.byClass = map[string]runTime{}
	}
	if known.count > 0 || len(t.byClass) < maxClasses {
		known.add(alone)
		t.byClass[h.Class] = known
	}
}

// learnCPU learns from a run that took ratio times as long as usual with so many for each CPU.
func (t *RunTimes) learnCPU(ratio, crowd float64) {
	if crowd < ordinarySpread { // too little to tell it from chance
		return
	}
	t.cpu.add(min(max((ratio-1)/(crowd-1), 0), 1), runWindow)
}

// RunTime returns what a run of f at h can be expected to take when nothing else runs there; 0: not known at all.
func (f *Function) RunTime(h *Host) time.Duration {
	return inSeconds(f.Times.reference(h.Class) / h.strength() * h.slowdown())
}

// A slowness is how much longer runs take at a host than is typical for its class.
type slowness struct {
	log    mean    // the factor's logarithm
	factor float64 // where it is more than chance; 0: it is not
}

// learnSlowdown learns from a run that took ratio times as long as is typical.
func (h *Host) learnSlowdown(ratio float64) {
	const most = 2.1 // a factor of 8: one run says no more than that
	s := &h.slow
	s.log.add(min(max(math.Log(ratio), -most), most), slowWindow)
	s.factor = 0
	if s.log.count >= knownRuns && math.Abs(s.log.value) >= math.Log(ordinarySpread) {
		s.factor = math.Exp(s.log.value)
	}
}

// Slowdown is how much longer runs take at the host than is typical for its class, smoothed; 1: as long, or not known.
func (h *Host) Slowdown() float64 { return math.Exp(h.slow.log.value) }

// slowdown is Slowdown where it is more than chance.
func (h *Host) slowdown() float64 {
	if h.slow.factor == 0 {
		return 1
	}
	return h.slow.factor
}

// StartCosts is what a start at a host takes beside the function's own start: handing over the
// code, unpacking it, building its environment. The zero value knows nothing.
type StartCosts struct {
	factor [3]float64 // by Presence: what it takes there over what is usual; 0: not known
}

func (c *StartCosts) of(found Presence) float64 {
	if c.factor[found] == 0 {
		return 1
	}
	return c.factor[found]
}

// correct moves the factor by so much of what was missed, a factor too. It stays where it can be unlearnt.
func (c *StartCosts) correct(found Presence, missed, by float64) {
	c.factor[found] = min(max(c.of(found)*math.Pow(missed, by), 0.001), 1000)
}

// ordinaryOverhead is what a start takes beside the process's own, by Presence, until it is measured.
var ordinaryOverhead = [3]float64{Absent: 0.5, HasCode: 0.2, Prepared: 0.02}

// overhead is what a start takes beside the process's own, in seconds. The function has a
// part in it (the size of its code, its dependencies) and the host (its connection, its disk); both are factors.
func overhead(f *Function, h *Host, found Presence) float64 {
	return ordinaryOverhead[found] * f.starts.of(found) * h.Costs.of(found)
}

// Started tells that a start of f at h took so long in all; found is what it found there.
// own is how long the function's process took of that until it was ready; 0: not known.
func (f *Function) Started(h *Host, found Presence, took, own time.Duration) {
	crowd := max(1, float64(h.Load+h.Starting)/h.cpus())
	if own <= 0 { // no telling which part was whose: the overhead is taken to be as usual
		f.learnStart(max(took.Seconds()-overhead(f, h, found), 0.001) * h.strength() / crowd)
		return
	}
	f.learnStart(own.Seconds() * h.strength() / crowd)
	beside := max((took - own).Seconds(), 0.001)
	missed := beside / overhead(f, h, found)
	f.starts.correct(found, missed, 0.5) // functions differ more than hosts
	h.Costs.correct(found, missed, 0.2)
}

func (f *Function) learnStart(seconds float64) {
	if f.Start <= 0 {
		f.Start = inSeconds(seconds)
		return
	}
	f.Start += inSeconds((seconds - f.Start.Seconds()) / startWindow)
}

// StartTime returns what a start of f at h can be expected to take now, by what is there.
func (f *Function) StartTime(h *Host, found Presence) time.Duration {
	p := price(f)
	return inSeconds(p.startTime(h, found, h.crowd()))
}

// Answered tells a measured round trip to the host: the time of a call less the time that the
// host itself says it took.
func (h *Host) Answered(rtt time.Duration) {
	rtt = max(rtt, time.Microsecond)
	if h.RTT <= 0 {
		h.RTT = rtt
		return
	}
	h.RTT += (rtt - h.RTT) / rttWindow
}

func inSeconds(s float64) time.Duration {
	return time.Duration(min(s*1e9, math.MaxInt64/2))
}
