package server

import (
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	in := func(d time.Duration) time.Time { return now.Add(d) }
	const ms = time.Millisecond
	// A function that is ready: one worker, idle for a second, one lease.
	ready := func(change func(v *view)) view {
		v := view{
			RunTime: ms, Live: 1, Slots: 1, Idle: []time.Time{ago(time.Second)},
			Max: 16, MaxStarts: 2, IdleTTL: time.Minute, EverUp: true,
			Leases: 1, LeaseEnds: in(30 * time.Second), GraceEnds: ago(time.Hour),
		}
		change(&v)
		return v
	}
	// The same with busy workers and runs that wait.
	queued := func(change func(v *view)) view {
		return ready(func(v *view) {
			v.Idle, v.Running, v.Waiting, v.Oldest = nil, 1, 15, ago(5*ms)
			change(v)
		})
	}
	soon := in(growAfter / 4)
	for name, c := range map[string]struct {
		view view
		want decision
	}{
		"nothing to do but to look after the lease": {
			ready(func(v *view) {}), decision{Wake: in(30 * time.Second)}},
		"an idle worker is looked at when its time is over": {
			ready(func(v *view) { v.LeaseEnds = in(time.Hour) }), decision{Wake: in(59 * time.Second)}},

		"the first caller of Init starts one": {
			view{Inits: 1, Slots: 1, Max: 16, MaxStarts: 2}, decision{Start: 1}},
		"the others wait for the same start": {
			view{Inits: 20, Starting: 1, Slots: 1, Max: 16, MaxStarts: 2}, decision{}},
		"a start whose callers all left goes on": {
			view{Starting: 1, Slots: 1, Max: 16, MaxStarts: 2}, decision{}},
		"a first start that failed ends the function": {
			view{Inits: 3, Slots: 1, Max: 16, MaxStarts: 2, StartFailed: true, RetryAt: in(time.Second)},
			decision{Remove: true, FailInits: true}},
		"Init does not wait for the back-off": {
			ready(func(v *view) { v.Live, v.Idle, v.Inits, v.RetryAt = 0, nil, 1, in(9*time.Second) }),
			decision{Start: 1, Wake: in(30 * time.Second)}},

		"a run that has just come waits for the busy worker": {
			queued(func(v *view) { v.Waiting, v.Oldest = 1, now }), decision{Wake: in(growAfter)}},
		"stuck: a worker for each waiting run, so many at once": {
			queued(func(v *view) { v.Stuck = 1 }), decision{Start: 2, Wake: in(30 * time.Second)}},
		"stuck: starts that serve all that wait are enough": {
			queued(func(v *view) { v.Stuck, v.Waiting, v.Starting, v.MaxStarts = 1, 3, 3, 8 }), decision{Wake: soon}},
		"stuck: a worker that takes four at once": {
			queued(func(v *view) { v.Stuck, v.Waiting, v.Slots, v.MaxStarts = 1, 5, 4, 8 }), decision{Start: 2, Wake: soon}},
		"stuck: the limit holds": {
			queued(func(v *view) { v.Stuck, v.Live, v.Max = 2, 2, 3 }), decision{Start: 1, Wake: in(30 * time.Second)}},
		"a fast function's queue moves: no more processes": {
			queued(func(v *view) { v.Waiting, v.RunTime, v.Crowded = 63, 60*time.Microsecond, ago(5*ms) }), decision{Wake: soon}},
		"a fast function's queue has no end: a worker for each CPU": {
			queued(func(v *view) {
				v.Waiting, v.RunTime, v.CPUs, v.Crowded = 63, 60*time.Microsecond, 2, ago(crowdedAfter)
			}), decision{Start: 1, Wake: soon}},
		"two workers more than CPUs share a queue without end": {
			queued(func(v *view) {
				v.Live, v.Waiting, v.RunTime, v.CPUs, v.Crowded = 3, 63, 60*time.Microsecond, 2, ago(time.Hour)
			}), decision{Start: 1, Wake: soon}},
		"no more than that share it": {
			queued(func(v *view) {
				v.Live, v.Waiting, v.RunTime, v.CPUs, v.Crowded = 4, 63, 60*time.Microsecond, 2, ago(time.Hour)
			}), decision{Wake: soon}},
		"a queue that was short of late is not shared": {
			queued(func(v *view) {
				v.Waiting, v.RunTime, v.CPUs, v.Crowded = 63, 60*time.Microsecond, 2, ago(crowdedAfter-ms)
			}), decision{Wake: soon}},
		"a queue that moves too slowly": {
			queued(func(v *view) { v.RunTime = ms; v.MaxStarts = 8 }), decision{Start: 3, Wake: soon}},
		"a queue that moves too slowly, with starts on their way": {
			queued(func(v *view) { v.RunTime, v.MaxStarts, v.Starting = ms, 8, 2 }), decision{Start: 1, Wake: soon}},

		"scaled to zero: one start, at once": {
			queued(func(v *view) { v.Live, v.Running, v.Oldest = 0, 0, now }), decision{Start: 1, Wake: in(30 * time.Second)}},
		"scaled to zero: no second start before the first is up": {
			queued(func(v *view) { v.Live, v.Running, v.Starting = 0, 0, 1 }), decision{Wake: in(30 * time.Second)}},
		"a failed start fails those who wait": {
			queued(func(v *view) { v.Live, v.Running, v.StartFailed, v.RetryAt = 0, 0, true, in(time.Second) }),
			decision{FailRuns: true, Wake: in(30 * time.Second)}},
		"a failed start while others serve fails nobody": {
			queued(func(v *view) { v.StartFailed, v.RetryAt = true, in(time.Second) }), decision{Wake: in(time.Second)}},
		"a failed start of what nobody holds any more ends it": {
			queued(func(v *view) {
				v.Live, v.Running, v.StartFailed, v.RetryAt, v.Leases = 0, 0, true, in(time.Second), 0
			}),
			decision{FailRuns: true, Remove: true}},
		"during the back-off new runs fail at once": {
			queued(func(v *view) { v.Live, v.Running, v.RetryAt = 0, 0, in(time.Second) }),
			decision{FailRuns: true, Wake: in(30 * time.Second)}},
		"after the back-off it is tried again": {
			queued(func(v *view) { v.Live, v.Running, v.RetryAt, v.Oldest = 0, 0, now, now }),
			decision{Start: 1, Wake: in(30 * time.Second)}},

		"idle for too long: stopped, down to zero": {
			ready(func(v *view) { v.Live, v.Idle = 2, []time.Time{ago(time.Hour), ago(time.Minute)} }),
			decision{StopIdle: 2, Wake: in(30 * time.Second)}},
		"only those that are idle for too long": {
			ready(func(v *view) {
				v.Live, v.Idle, v.LeaseEnds = 2, []time.Time{ago(time.Hour), ago(50 * time.Second)}, in(time.Hour)
			}),
			decision{StopIdle: 1, Wake: in(10 * time.Second)}},
		"down to the warm ones": {
			ready(func(v *view) { v.Live, v.Warm, v.Idle = 2, 1, []time.Time{ago(time.Hour), ago(time.Hour)} }),
			decision{StopIdle: 1, Wake: in(30 * time.Second)}},
		"busy ones count as warm": {
			ready(func(v *view) { v.Live, v.Warm, v.Running, v.Idle = 2, 2, 1, []time.Time{ago(time.Hour)} }),
			decision{Wake: in(30 * time.Second)}},
		"warm ones that are missing are started": {
			ready(func(v *view) { v.Warm = 3 }), decision{Start: 2, Wake: in(30 * time.Second)}},
		"warm ones that failed to start are tried again later": {
			ready(func(v *view) { v.Warm, v.RetryAt = 2, in(2*time.Second) }), decision{Wake: in(2 * time.Second)}},

		"no lease: kept for a grace": {
			ready(func(v *view) { v.Leases, v.GraceEnds = 0, in(9*time.Second) }), decision{Wake: in(9 * time.Second)}},
		"no lease, and the grace is over: removed": {
			ready(func(v *view) { v.Leases, v.GraceEnds = 0, now }), decision{Remove: true}},
		"never during a run": {
			ready(func(v *view) { v.Leases, v.GraceEnds, v.Running, v.Idle = 0, now, 1, nil }), decision{}},
		"never during a start": {
			ready(func(v *view) { v.Leases, v.GraceEnds, v.Starting, v.Idle, v.Live = 0, now, 1, nil, 0 }), decision{}},
		"never while a caller of Init waits": {
			ready(func(v *view) { v.Leases, v.GraceEnds, v.Inits, v.Idle, v.Live = 0, now, 1, nil, 0 }), decision{Start: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan(c.view, now); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Whatever the view, plan keeps the limits, and what it asks for is possible.
func FuzzPlan(f *testing.F) {
	f.Add(uint8(3), uint8(1), uint8(1), uint8(0), uint8(1), uint8(4), uint8(0), uint8(1), int16(5), int16(9), false, true)
	f.Fuzz(func(t *testing.T, waiting, live, stuck, starting, slots, limit, warm, leases uint8, oldest, grace int16, failed, everUp bool) {
		now := time.Unix(1_000_000, 0)
		v := view{
			Waiting: int(waiting), Oldest: now.Add(-time.Duration(oldest) * time.Millisecond), RunTime: time.Millisecond,
			Live: int(live), Stuck: int(min(stuck, live)), Starting: int(starting), Slots: int(slots) + 1,
			Max: int(limit) + 1, Warm: int(warm), MaxStarts: 2, IdleTTL: time.Second, EverUp: everUp || live > 0,
			StartFailed: failed, Leases: int(leases), LeaseEnds: now.Add(time.Minute), GraceEnds: now.Add(time.Duration(grace) * time.Second),
		}
		if v.Waiting == 0 {
			for range v.Live {
				v.Idle = append(v.Idle, now.Add(-time.Duration(oldest)*time.Millisecond))
			}
		}
		d := plan(v, now)
		if d.Start > 0 && (v.Live+v.Starting+d.Start > v.Max || v.Starting+d.Start > v.MaxStarts) {
			t.Errorf("%+v starts too many: %+v", v, d)
		}
		if d.Start < 0 || d.StopIdle > len(v.Idle) || d.StopIdle > 0 && v.Live-d.StopIdle < v.Warm {
			t.Errorf("%+v: impossible: %+v", v, d)
		}
		if d.Remove && v.Starting > 0 {
			t.Errorf("%+v: removed during a start", v)
		}
		if !d.Wake.IsZero() && !d.Wake.After(now) {
			t.Errorf("%+v: wakes without end: %+v", v, d)
		}
		stranded := v.Waiting > 0 && !d.FailRuns && v.Live+v.Starting+d.Start == 0
		if stranded {
			t.Errorf("%+v: runs wait for nothing: %+v", v, d)
		}
		if v.Waiting > 0 && !d.FailRuns && !d.Remove && v.mayGrow(d) && !d.Wake.After(now) {
			t.Errorf("%+v: nobody looks after the waiting runs: %+v", v, d)
		}
		waits := v.Waiting > 0 && !d.FailRuns || v.Starting+d.Start > 0
		if v.Leases == 0 && !waits && !d.Remove && d.Wake.IsZero() {
			t.Errorf("%+v: nobody removes it: %+v", v, d)
		}
	})
}

func TestStuckAfter(t *testing.T) {
	for runTime, want := range map[time.Duration]time.Duration{
		0:                      growAfter, // not known
		50 * time.Microsecond:  hiccup,
		3 * time.Millisecond:   growAfter,
		500 * time.Millisecond: growAfter,
	} {
		if got := stuckAfter(runTime); got != want {
			t.Errorf("a run takes %v: stuck after %v, want %v", runTime, got, want)
		}
	}
}
