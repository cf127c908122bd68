package placement

import (
	"fmt"
	"testing"
	"time"
)

// burst has so many runs of a cold function come at once to ten equal hosts of 4 CPUs, and
// returns at how many it is started.
func burst(t *testing.T, runs int, each time.Duration) int {
	t.Helper()
	f := &Function{Seed: 11, Start: time.Second}
	for range runWindow {
		f.Ran(&Host{}, each)
	}
	s, begun := SnapshotOf(equalHosts(10)), map[*Host]bool{}
	for {
		d := Place(s, f, Request{Waiting: runs}, testNow)
		if d.Verdict != Wait {
			t.Fatalf("verdict %v for a function that is nowhere ready", d.Verdict)
		}
		if d.Start == nil {
			return len(begun)
		}
		if begun[d.Start] {
			t.Fatal("one host is told to start it twice")
		}
		begun[d.Start] = true
		d.Start.Starting++
		f.Add(&Site{Host: d.Start, State: Starting, Began: testNow})
	}
}

// Always true 8: a function is started once, however many ask at once. Over several hosts: once at each
// that pays, and at no more.
func TestAlwaysTrue8ABurstStartsAFunctionOncePerHost(t *testing.T) {
	tests := []struct {
		runs        int
		each        time.Duration
		least, most int // hosts
	}{
		{1, time.Minute, 1, 1},
		{20, time.Millisecond, 1, 1},
		{20, 100 * time.Millisecond, 1, 2},
		{20, time.Second, 2, 4},
		{20, time.Minute, 4, 5}, // the 20 runs have a CPU each then
		{1000, time.Minute, 10, 10},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.runs, " runs of ", tt.each), func(t *testing.T) {
			if got := burst(t, tt.runs, tt.each); got < tt.least || got > tt.most {
				t.Errorf("started at %d hosts, want %d to %d", got, tt.least, tt.most)
			}
		})
	}
}

// What works for nobody but waits on others is no reason to widen: runs that don't use the CPU fill all slots first.
func TestABurstOfWaitingRunsStaysTogether(t *testing.T) {
	f := &Function{Seed: 11, Start: time.Second}
	quiet, crowded := &Host{CPUs: 4, Load: 1}, &Host{CPUs: 4, Load: 16}
	for range 5 * runWindow {
		f.Ran(quiet, time.Second)
		f.Ran(crowded, time.Second)
	}
	hosts := equalHosts(3)
	home := &Site{Host: hosts[0], State: Ready, Slots: 16}
	f.Add(home)
	for home.Load < home.Slots {
		d := Place(SnapshotOf(hosts), f, Request{Waiting: 1}, testNow)
		if d.Verdict != Run || d.Start != nil {
			t.Fatalf("with %d of 16 slots in use: %+v", home.Load, d)
		}
		home.Load++
		home.Host.Load++
	}
}

// Until something is known of a function's runs, no run waits though a slot is free.
func TestNoWaitingOnAGuess(t *testing.T) {
	hosts := equalHosts(2)
	f := &Function{Seed: 11}
	f.Add(&Site{Host: hosts[0], State: Ready, Slots: 100})
	hosts[0].Load = 90
	if d := Place(SnapshotOf(hosts), f, Request{Waiting: 1}, testNow); d.Verdict != Run {
		t.Errorf("%+v", d)
	}
}
