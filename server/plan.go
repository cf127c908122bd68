package server

import "time"

// growAfter is how long a run waits before another worker is thought of. A start
// of Python costs several times as much, so waiting less would never pay.
const growAfter = 4 * time.Millisecond

// crowdedAfter is for how long runs must have waited without a pause until as many
// workers as there are CPUs, and beyondCPUs more, may share them: the function is fast, but not fast enough.
const crowdedAfter = 250 * time.Millisecond

// beyondCPUs is how many workers more than CPUs share a queue that never ends. When each worker
// has ended its run it sleeps until we have woken up and given it the next; with some more, neither side
// sleeps as often, and a run costs a tenth less CPU time (2 CPUs, Python that answers in 20 us; 6 gained no more).
const beyondCPUs = 2

// hiccup is how long a process that has work may stand still because others
// have the cores: some of the scheduler's slices.
const hiccup = 40 * time.Millisecond

// stuckAfter is how old a worker's latest run is when the worker counts as
// stuck. A function that is known to be fast is given more time: that a run
// of it takes long is nearly always the machine's doing, and then
// another process would make it worse.
func stuckAfter(runTime time.Duration) time.Duration {
	if 0 < runTime && runTime < growAfter/2 {
		return hiccup
	}
	return growAfter
}

// A view is what plan needs to know of one function.
type view struct {
	// Demand.
	Inits   int           // callers of Init that wait for the first worker
	Waiting int           // runs that wait for a worker
	Oldest  time.Time     // when the oldest of them came
	Crowded time.Time     // since when some have waited without a pause, or the latest start began
	Running int           // runs in flight
	RunTime time.Duration // the lowest of late; 0: not known

	// Supply.
	Live     int         // workers that are up
	Stuck    int         // of those, the ones that began no run for stuckAfter and have no room for another
	Starting int         // workers being started
	Slots    int         // runs that one worker takes at once
	Idle     []time.Time // since when each idle worker is so; the longest first

	// Limits.
	CPUs      int // of the machine
	Max       int // workers
	Warm      int // workers to keep
	MaxStarts int // at the same time
	IdleTTL   time.Duration

	// History.
	EverUp      bool      // a worker has been up
	StartFailed bool      // a start has failed just now: this is why plan is asked
	RetryAt     time.Time // not before this another start, unless somebody calls Init

	// Claims.
	Leases    int
	LeaseEnds time.Time // when the first of them does
	GraceEnds time.Time // with no lease the function is kept until then
}

// A decision is what to do about one function.
type decision struct {
	Start     int  // so many workers
	StopIdle  int  // so many of them, the longest idle first
	FailInits bool // with the reason of the last failed start
	FailRuns  bool // likewise
	Remove    bool // the function, with its workers and its directory
	Wake      time.Time
}

// plan decides what is to be done about a function. It is pure: see design.md.
func plan(v view, now time.Time) decision {
	if v.abandoned(now) || v.neverCame() {
		return decision{Remove: true, FailInits: v.Inits > 0, FailRuns: v.Waiting > 0}
	}
	hopeless := v.StartFailed && v.Live+v.Starting == 0
	d := decision{FailInits: hopeless && v.Inits > 0, FailRuns: hopeless && v.Waiting > 0}
	if d.FailInits {
		v.Inits = 0
	}
	if d.FailRuns {
		v.Waiting = 0
	}
	d.Start = v.starts(now)
	if v.Waiting > 0 && v.Live+v.Starting+d.Start == 0 {
		d.FailRuns = true
		v.Waiting = 0
	}
	if d.Start == 0 && v.abandoned(now) { // those who just failed were the last
		d.Remove = true
		return d
	}
	d.StopIdle = v.surplus(now)
	d.Wake = v.wake(d, now)
	return d
}

// neverCame reports whether the function's first start has failed.
func (v view) neverCame() bool {
	return v.StartFailed && !v.EverUp && v.Live+v.Starting == 0
}

// abandoned reports whether nobody wants the function any more.
func (v view) abandoned(now time.Time) bool {
	return v.unclaimed() && v.Starting == 0 && v.Running == 0 && v.Waiting == 0 && !now.Before(v.GraceEnds)
}

func (v view) unclaimed() bool { return v.Leases == 0 && v.Inits == 0 }

// starts is how many workers to start now.
func (v view) starts(now time.Time) int {
	if now.Before(v.RetryAt) && v.Inits == 0 {
		return 0
	}
	atOnce := v.MaxStarts
	if v.Live == 0 {
		atOnce = 1 // nobody knows yet how fast it is, or how long its start takes
	}
	room := min(v.Max-v.Live-v.Starting, atOnce-v.Starting)
	want := max(v.growth(now), min(v.Warm, v.Max)-v.Live-v.Starting)
	if v.Inits > 0 && v.Live+v.Starting == 0 {
		want = max(want, 1)
	}
	return max(0, min(room, want))
}

// growth is how many more workers the waiting runs ask for.
func (v view) growth(now time.Time) int {
	uncovered := perSlots(v.Waiting, v.Slots) - v.Starting
	if uncovered <= 0 {
		return 0
	}
	if v.Live == 0 {
		return uncovered
	}
	if now.Sub(v.Oldest) < growAfter {
		return 0
	}
	if v.Stuck >= v.Live {
		return uncovered
	}
	work := time.Duration(v.Waiting) * v.RunTime
	needed := perSlots(int((work+growAfter-1)/growAfter), v.Slots)
	return min(uncovered, max(needed-(v.Live-v.Stuck)-v.Starting, v.sharing(now)))
}

// sharing is 1 when one more worker would find runs to share, and a CPU nearly of its own.
func (v view) sharing(now time.Time) int {
	if v.Live+v.Starting < v.CPUs+beyondCPUs && now.Sub(v.Crowded) >= crowdedAfter {
		return 1
	}
	return 0
}

// perSlots is how many workers n runs at once need.
func perSlots(n, slots int) int { return (n + slots - 1) / slots }

// surplus is how many idle workers have been so for too long.
func (v view) surplus(now time.Time) int {
	if v.Waiting > 0 {
		return 0
	}
	n := 0
	for n < len(v.Idle) && v.Live-n > v.Warm && now.Sub(v.Idle[n]) >= v.IdleTTL {
		n++
	}
	return n
}

// wake is when plan must be asked again though nothing has happened; zero:
// never.
func (v view) wake(d decision, now time.Time) time.Time {
	var at earliest
	if v.Waiting > 0 && v.mayGrow(d) {
		// Not more often than every quarter of growAfter: the oldest may have waited longer already.
		at.add(later(later(v.Oldest.Add(growAfter), now.Add(growAfter/4)), v.RetryAt))
	}
	if v.Waiting == 0 && d.StopIdle < len(v.Idle) && v.Live-d.StopIdle > v.Warm {
		at.add(later(v.Idle[d.StopIdle].Add(v.IdleTTL), now))
	}
	if v.Leases > 0 {
		at.add(v.LeaseEnds)
	} else if v.Inits == 0 && now.Before(v.GraceEnds) {
		at.add(v.GraceEnds)
	}
	if v.Live+v.Starting+d.Start < v.Warm && now.Before(v.RetryAt) {
		at.add(v.RetryAt)
	}
	return at.time
}

// mayGrow reports whether the runs that wait may want one more worker merely
// because time passes. Else a start or a run must end first, and plan is asked then.
func (v view) mayGrow(d decision) bool {
	starting := v.Starting + d.Start
	return v.Live > 0 && starting < v.MaxStarts && v.Live+starting < v.Max
}

// earliest keeps the earliest of the times that it was given.
type earliest struct{ time time.Time }

func (e *earliest) add(t time.Time) {
	if e.time.IsZero() || t.Before(e.time) {
		e.time = t
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
