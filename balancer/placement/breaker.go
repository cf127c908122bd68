package placement

import (
	"math"
	"time"
)

// The numbers of a breaker; design.md says why these.
const (
	failuresInRow = 3                // it opens after so many
	failuresInAll = 5                // or when so many count, though there were successes between
	failureHalves = 30 * time.Second // what a failure counts halves in that time
	successEases  = 0.99             // what the failures count is multiplied by it with each success
	firstSetAside = time.Second      // for how long it opens at first; doubled when that was not enough
	longSetAside  = 30 * time.Second // and at most
	calm          = time.Minute      // without opening again for so long, it begins anew with the first
	probeLimit    = 30 * time.Second // for how long others wait for a probe to tell
	tooManyLeaves = 2.5              // it opens when so many count: at the third within half a minute
	leaveHalves   = time.Minute      // what a leave counts halves in that time
)

// A Breaker sets a host aside that fails or flaps, and lets single runs through to try it again. The
// zero value is closed: the host is used.
type Breaker struct {
	open      bool
	flapping  bool   // it is open because the host comes and goes
	Seed      uint64 // spreads the times, so that several balancers don't try a host all at once; the host's will do
	failures  int    // in a row
	score     leaky  // of failures
	leaves    leaky
	setAside  time.Duration // for how long it was last opened
	till      time.Time     // until when, also after it closed
	probing   bool
	probeTill time.Time
}

// A leaky counts events that are forgotten with time.
type leaky struct {
	value float64
	at    time.Time
}

func (l *leaky) add(now time.Time, halves time.Duration) {
	l.value = l.value*math.Exp2(-max(0, now.Sub(l.at).Seconds())/halves.Seconds()) + 1
	l.at = now
}

// Failed tells that the host failed: it could not be reached, lost a run, or broke off a start.
func (b *Breaker) Failed(now time.Time) {
	if b.open && !b.probing {
		return // a run from before it opened; that is known
	}
	b.failures++
	b.score.add(now, failureHalves)
	if b.open || b.failures >= failuresInRow || b.score.value >= failuresInAll {
		b.setHostAside(now)
	}
}

// Left tells that the host is gone, and had not said that it would end. A host that comes and goes flaps, however many
// runs it does well in between: all that it has is lost each time.
func (b *Breaker) Left(now time.Time) {
	b.leaves.add(now, leaveHalves)
	switch {
	case b.leaves.value < tooManyLeaves:
	case b.flapping && !b.probing: // that is known
	default:
		b.flapping = b.flapping || !b.open
		b.setHostAside(now)
	}
}

// Back tells that the host is there again. One that flaps must stay for as long as it is set aside until it is tried.
func (b *Breaker) Back(now time.Time) {
	if b.flapping && !b.probing {
		b.waitFrom(now)
	}
}

// Forgive closes the breaker because the host has shown that it can do what it failed at. That it comes
// and goes is not forgiven so.
func (b *Breaker) Forgive() {
	if !b.flapping {
		*b = Breaker{Seed: b.Seed, leaves: b.leaves}
	}
}

// Flapping reports whether the host is set aside only because it comes and goes. While it is there, it works.
func (b *Breaker) Flapping() bool { return b.flapping }

// setHostAside opens the breaker, for twice as long as before if that was a moment ago.
func (b *Breaker) setHostAside(now time.Time) {
	b.setAside = min(2*b.setAside, longSetAside)
	if b.setAside == 0 || now.Sub(b.till) > calm {
		b.setAside = firstSetAside
	}
	b.open, b.probing, b.failures = true, false, 0
	b.waitFrom(now)
}

func (b *Breaker) waitFrom(now time.Time) {
	jitter := uniform(b.Seed^uint64(b.setAside)) / 4
	b.till = now.Add(b.setAside + time.Duration(jitter*float64(b.setAside)))
}

// Worked tells that the host did what it was asked. While a probe is out, it closes the breaker.
func (b *Breaker) Worked() {
	b.failures = 0
	b.score.value *= successEases
	if b.probing {
		b.open, b.flapping, b.probing = false, false, false
	}
}

// Allows reports whether the host may be sent one more run or start.
func (b *Breaker) Allows(now time.Time) bool {
	return !b.open || !now.Before(b.RetryAt())
}

// Sent tells that a run or start was sent: while the breaker tries the host, that is the one.
// One that never tells how it ended holds up the next for no more than probeLimit.
func (b *Breaker) Sent(now time.Time) {
	if b.open && b.Allows(now) {
		b.probing, b.probeTill = true, now.Add(probeLimit)
	}
}

// Unsent tells that what Sent was told of was not sent after all: the next one is to try the host.
func (b *Breaker) Unsent() { b.probing = false }

// RetryAt is when the host is tried again; zero: its breaker is closed.
func (b *Breaker) RetryAt() time.Time {
	switch {
	case !b.open:
		return time.Time{}
	case b.probing:
		return b.probeTill
	}
	return b.till
}
