package placement

import (
	"testing"
	"time"
)

// after is a clock for breaker tests: so long after their begin.
func after(d time.Duration) time.Time { return testNow.Add(d) }

func fails(b *Breaker, times int, at time.Time) {
	for range times {
		b.Failed(at)
	}
}

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	var b Breaker
	fails(&b, failuresInRow-1, testNow)
	if !b.Allows(testNow) || !b.RetryAt().IsZero() {
		t.Fatal("open too early")
	}
	b.Worked()
	fails(&b, failuresInRow-1, testNow)
	if !b.Allows(testNow) {
		t.Fatal("open though a success was between")
	}
	b.Failed(testNow)
	if b.Allows(testNow) {
		t.Fatal("not open")
	}
	if wait := b.RetryAt().Sub(testNow); wait < firstSetAside || wait > firstSetAside*5/4 {
		t.Errorf("set aside for %v, want %v and at most a quarter more", wait, firstSetAside)
	}
}

func TestBreakerLetsOneProbeThrough(t *testing.T) {
	var b Breaker
	fails(&b, failuresInRow, testNow)
	b.Failed(testNow) // it was in flight already
	at := b.RetryAt()
	if b.Allows(at.Add(-1)) || !b.Allows(at) {
		t.Fatal("it opens at another time than RetryAt says")
	}
	b.Worked() // an old run that ended well is no probe
	if b.Allows(at.Add(-1)) {
		t.Fatal("closed without a probe")
	}
	b.Sent(at)
	if b.Allows(at) {
		t.Fatal("a second probe is let through")
	}
	if limit := at.Add(probeLimit); b.Allows(limit.Add(-1)) || !b.Allows(limit) || !b.RetryAt().Equal(limit) {
		t.Error("a probe that never tells is waited for too long, or not long enough")
	}
	b.Unsent()
	if !b.Allows(at) {
		t.Error("a probe that was not sent keeps the next from being one")
	}
	b.Sent(at)
	b.Worked()
	if !b.Allows(at) || !b.RetryAt().IsZero() {
		t.Error("a probe that worked does not close it")
	}
}

func TestBreakerWaitsLongerEachTime(t *testing.T) {
	var b Breaker
	fails(&b, failuresInRow, testNow)
	now, want := testNow, firstSetAside
	for range 10 {
		if wait := b.RetryAt().Sub(now); wait < want || wait > want*5/4 {
			t.Fatalf("set aside for %v, want %v and at most a quarter more", wait, want)
		}
		now = b.RetryAt()
		b.Sent(now)
		b.Failed(now)
		want = min(2*want, longSetAside)
	}
}

func TestBreakerRemembersFlapping(t *testing.T) {
	var b Breaker
	fails(&b, failuresInRow, testNow)
	at := b.RetryAt()
	b.Sent(at)
	b.Worked()
	again := at.Add(calm / 2)
	fails(&b, failuresInRow, again)
	if wait := b.RetryAt().Sub(again); wait < 2*firstSetAside {
		t.Errorf("it fell again soon, and is set aside for only %v", wait)
	}
	b.Sent(b.RetryAt())
	b.Worked()
	later := again.Add(5 * calm)
	fails(&b, failuresInRow, later)
	if wait := b.RetryAt().Sub(later); wait >= 2*firstSetAside {
		t.Errorf("it was well for long, and is set aside for %v", wait)
	}
}

// Failures count over time though successes are between, if they are more than a few in a hundred.
func TestBreakerLeaks(t *testing.T) {
	tests := []struct {
		name  string
		every time.Duration // a failure comes
		works int           // successes between
		opens bool
	}{
		{"each second, one success between", time.Second, 1, true},
		{"each minute, one success between", time.Minute, 1, false},
		{"one in a hundred, quickly", time.Millisecond, 99, false},
		{"one in ten, quickly", time.Millisecond, 9, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b Breaker
			for i := range 100 {
				now := after(time.Duration(i) * tt.every)
				b.Failed(now)
				if !b.Allows(now) {
					break
				}
				for range tt.works {
					b.Worked()
				}
			}
			if opened := !b.RetryAt().IsZero(); opened != tt.opens {
				t.Errorf("opened: %v, want %v", opened, tt.opens)
			}
		})
	}
}

// A host that comes and goes is set aside, however much it does in between, and stays so for as long as it goes on.
func TestBreakerOpensForAHostThatComesAndGoes(t *testing.T) {
	tests := []struct {
		name  string
		every time.Duration // it leaves
		opens bool
	}{
		{"each second", time.Second, true},
		{"three times in half a minute", 15 * time.Second, true},
		{"each minute", time.Minute, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b Breaker
			var last time.Time
			for i := range 20 {
				last = after(time.Duration(i) * tt.every)
				b.Left(last)
				for range 100 {
					b.Worked()
				}
				b.Forgive()
				b.Back(last)
			}
			if b.Flapping() != tt.opens || b.Allows(last) == tt.opens {
				t.Errorf("flapping: %v, want %v", b.Flapping(), tt.opens)
			}
		})
	}
}

func TestBreakerTriesAHostThatStays(t *testing.T) {
	var b Breaker
	now := testNow
	for range 60 {
		now = now.Add(firstSetAside / 2)
		b.Left(now)
		now = now.Add(2 * firstSetAside)
		b.Back(now)
	}
	if wait := b.RetryAt().Sub(now); wait < firstSetAside || wait > firstSetAside*5/4 {
		t.Errorf("it is tried %v after it came, want %v and at most a quarter more", wait, firstSetAside)
	}
	now = b.RetryAt()
	b.Sent(now)
	b.Worked()
	if !b.Allows(now) || b.Flapping() {
		t.Fatal("it stayed and worked, and is set aside")
	}
	b.Left(now)
	if wait := b.RetryAt().Sub(now); wait < 2*firstSetAside {
		t.Errorf("it left again at once, and is set aside for only %v", wait)
	}
}

func TestHostsThatFlapAreUsedWhereThereIsNoOther(t *testing.T) {
	flapping, other := &Host{Seed: 1}, &Host{Seed: 2}
	for range 3 {
		flapping.Breaker.Left(testNow)
	}
	f := &Function{}
	f.Add(&Site{Host: flapping, State: Ready, Slots: 1})
	r := Request{Waiting: 1}
	if d := Place(SnapshotOf([]*Host{flapping, other}), f, r, testNow); d.Start != other {
		t.Errorf("beside another: %+v", d)
	}
	if d := Place(SnapshotOf([]*Host{flapping}), f, r, testNow); d.Verdict != Run || d.Site.Host != flapping {
		t.Errorf("alone: %+v", d)
	}
	other.Memory = Room{Known: true, Total: 1 << 30}
	if d := Place(SnapshotOf([]*Host{flapping, other}), f, r, testNow); d.Verdict != Run || d.Site.Host != flapping {
		t.Errorf("where the other has no room: %+v", d)
	}
	f.At(flapping).Load = 1
	if d := Place(SnapshotOf([]*Host{flapping}), f, r, testNow); d.Verdict != Wait {
		t.Errorf("alone and busy: %+v", d)
	}
}

func TestBreakersOfHostsTryAtDifferentTimes(t *testing.T) {
	times := map[time.Time]bool{}
	for seed := range uint64(20) {
		b := Breaker{Seed: seed}
		fails(&b, failuresInRow, testNow)
		times[b.RetryAt()] = true
	}
	if len(times) < 20 {
		t.Errorf("20 breakers try again at %d different times", len(times))
	}
}
