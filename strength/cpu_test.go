package strength

import (
	"testing"
	"time"
)

// TestReference tells what this machine's CPU needs for the pieces, see referenceWhole.
func TestReference(t *testing.T) {
	p := measure(time.Now, time.Second)
	t.Logf("whole %v, float %v, memory %v: strength %.2f; and in a short time %.2f", p.whole, p.float, p.memory, p.strength(), CPU())
	if p.whole <= 0 || p.float <= 0 || p.memory <= 0 || p.strength() < 0.02 || p.strength() > 50 {
		t.Errorf("that is no possible machine: %+v", p)
	}
}

func TestTwiceAsFastIsTwiceAsStrong(t *testing.T) {
	reference := pieces{referenceWhole, referenceFloat, referenceMemory}
	if s := reference.strength(); s < 0.999 || s > 1.001 {
		t.Errorf("the reference itself is %v", s)
	}
	fast := pieces{reference.whole / 2, reference.float / 2, reference.memory / 2}
	if s := fast.strength(); s < 1.999 || s > 2.001 {
		t.Errorf("twice as fast is %v", s)
	}
}

// A burst of other work is in some pieces and not in the best ones.
func TestTheBestPiecesCountWithFakeTime(t *testing.T) {
	clock, n := time.Unix(0, 0), 0
	now := func() time.Time {
		n++
		step := 100 * time.Microsecond
		if n%2 == 0 {
			step = 50 * time.Millisecond // somebody else had the CPU
		}
		clock = clock.Add(step)
		return clock
	}
	got := measure(now, 10*time.Second)
	want := pieces{100 * time.Microsecond, 100 * time.Microsecond, 100 * time.Microsecond}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAMazeIsOneCircle(t *testing.T) {
	m := newMaze()
	at, n := uint32(0), 0
	for {
		at = m[at]
		n++
		if at == 0 || n > mazeSize {
			break
		}
	}
	if n != mazeSize {
		t.Errorf("the circle has %d entries, not %d", n, mazeSize)
	}
}
