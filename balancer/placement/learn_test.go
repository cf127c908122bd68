package placement

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// about reports whether got is within a tenth of want.
func about(got, want time.Duration) bool {
	return got > want*9/10 && got < want*11/10
}

func TestRunTimesByClass(t *testing.T) {
	f := &Function{}
	if got := f.RunTime(&Host{}); got != 0 {
		t.Errorf("nothing is known, but a run takes %v", got)
	}
	slow, fast := &Host{Class: "slow", Strength: 1}, &Host{Class: "fast", Strength: 4}
	for range 20 {
		f.Ran(slow, 8*time.Second)
	}
	if got := f.RunTime(fast); !about(got, 2*time.Second) {
		t.Errorf("a class that is not known is scaled by strength: %v, want 2s", got)
	}
	for range 20 {
		f.Ran(fast, time.Second)
	}
	if got := f.RunTime(fast); !about(got, time.Second) {
		t.Errorf("measured in its own class: %v, want 1s", got)
	}
	if got := f.RunTime(slow); !about(got, 8*time.Second) {
		t.Errorf("the other class: %v, want 8s", got)
	}
}

func TestRunTimesFollowAChange(t *testing.T) {
	f, h := &Function{}, &Host{}
	for range 100 {
		f.Ran(h, time.Second)
	}
	for range 100 {
		f.Ran(h, 4*time.Second)
	}
	total := f.RunTime(h)
	if !about(total, 4*time.Second) {
		t.Errorf("%v, want 4s", total)
	}
}

func TestRunTimesOfManyClassesAreBounded(t *testing.T) {
	f := &Function{}
	for i := range 10 * maxClasses {
		f.Ran(&Host{Class: fmt.Sprint(i)}, time.Second)
	}
	if n := len(f.Times.byClass); n != maxClasses {
		t.Errorf("%d classes are kept, want %d", n, maxClasses)
	}
	if got := f.RunTime(&Host{Class: "another"}); !about(got, time.Second) {
		t.Errorf("of a class that is not kept: %v, want 1s", got)
	}
}

// What runs take on a crowded host says how much of them is work for the CPU.
func TestCPUPartIsLearned(t *testing.T) {
	for _, want := range []float64{0, 0.5, 1} {
		f := &Function{}
		quiet, crowded := &Host{CPUs: 4, Load: 1}, &Host{CPUs: 4, Load: 16}
		for range 50 {
			f.Ran(quiet, time.Second)
			f.Ran(crowded, time.Duration((1+3*want)*float64(time.Second)))
		}
		if got := f.Times.cpuPart(); got < want-0.1 || got > want+0.1 {
			t.Errorf("CPU's part %.2f, want %.2f", got, want)
		}
		if got := f.RunTime(quiet); !about(got, time.Second) {
			t.Errorf("CPU's part %.1f: alone a run takes %v, want 1s", want, got)
		}
	}
}

func TestASlowHostIsFoundOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	hosts := equalHosts(10)
	f := &Function{}
	for range 100 {
		for i, h := range hosts {
			took := rng.ExpFloat64() // runs differ much by themselves
			if i == 3 {
				took *= 10
			}
			f.Ran(h, inSeconds(took))
		}
	}
	for i, h := range hosts {
		if i == 3 {
			continue
		}
		if ratio := float64(f.RunTime(hosts[3])) / float64(f.RunTime(h)); ratio < 4 || ratio > 25 {
			t.Errorf("the slow host takes %.1f times as long as host %d, want about 10", ratio, i)
		}
	}
	for range 50 { // it recovers
		for _, h := range hosts {
			f.Ran(h, inSeconds(rng.ExpFloat64()))
		}
	}
	if slow := hosts[3].Slowdown() / hosts[0].Slowdown(); slow > 2.5 {
		t.Errorf("it recovered, and still counts %.1f times as slow", slow)
	}
}

func TestStartTimes(t *testing.T) {
	f, h := &Function{}, &Host{}
	if absent, prepared := f.StartTime(h, Absent), f.StartTime(h, Prepared); absent <= prepared {
		t.Errorf("absent %v, prepared %v", absent, prepared)
	}
	for range 20 {
		f.Started(h, Absent, 62*time.Second, 2*time.Second)
		f.Started(h, Prepared, 2100*time.Millisecond, 2*time.Second)
	}
	if got := f.StartTime(h, Absent); !about(got, 62*time.Second) {
		t.Errorf("absent %v, want 62s", got)
	}
	if got := f.StartTime(h, Prepared); !about(got, 2100*time.Millisecond) {
		t.Errorf("prepared %v, want 2.1s", got)
	}
	if got := f.StartTime(&Host{Strength: 2}, Prepared); !about(got, 1100*time.Millisecond) {
		t.Errorf("prepared on a host twice as strong %v, want 1.1s", got)
	}
	if f.Start != 2*time.Second {
		t.Errorf("the function's own start %v, want 2s", f.Start)
	}
}

// Several functions and hosts share out between them whose fault a long start is.
func TestStartCostsAreHostsAndFunctions(t *testing.T) {
	near, far := &Host{}, &Host{}
	var fs []*Function
	for range 10 {
		fs = append(fs, &Function{Start: 100 * time.Millisecond})
	}
	for range 20 {
		for _, f := range fs {
			f.Started(near, Absent, 600*time.Millisecond, 100*time.Millisecond)
			f.Started(far, Absent, 5100*time.Millisecond, 100*time.Millisecond)
		}
	}
	unknown := &Function{Start: 100 * time.Millisecond}
	if a, b := unknown.StartTime(far, Absent), unknown.StartTime(near, Absent); a < 4*b {
		t.Errorf("a function that was never started: %v at the far host, %v at the near one", a, b)
	}
}

func TestAStartWithoutItsOwnTime(t *testing.T) {
	f, h := &Function{}, &Host{}
	f.Started(h, Prepared, 2*time.Second, 0)
	if got := f.StartTime(h, Prepared); !about(got, 2*time.Second) {
		t.Errorf("%v, want 2s", got)
	}
}

func TestRoundTripIsSmoothed(t *testing.T) {
	h := &Host{}
	h.Answered(80 * time.Millisecond)
	if h.RTT != 80*time.Millisecond {
		t.Errorf("the first counts whole: %v", h.RTT)
	}
	h.Answered(160 * time.Millisecond)
	if h.RTT != 90*time.Millisecond {
		t.Errorf("a later one counts an eighth: %v", h.RTT)
	}
	h.Answered(-time.Second) // the host's clock is coarse
	if h.RTT <= 0 {
		t.Errorf("%v, which means not known", h.RTT)
	}
}
