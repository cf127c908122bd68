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
)

// A Breaker sets a host aside that fails or flaps, and lets single runs through to try it again. The
// zero value is closed: the host is used.
type Breaker struct {
	open      bool
	Seed      uint64 // spreads the times, so that several balancers don't try a host all at once; the host's will do
	failures  int    // in a row
	score     float64
	scoredAt  time.Time
	setAside  time.Duration // for how long it was last opened
	till      time.Time     // until when, also after it closed
	probing   bool
	probeTill time.Time
}

// Failed tells that the host failed: it could not be reached, lost a run, broke off a start, or left and came back.
func (b *Breaker) Failed(now time.Time) {
	b.failures++
	b.score = b.score*math.Exp2(-max(0, now.Sub(b.scoredAt).Seconds())/failureHalves.Seconds()) + 1
	b.scoredAt = now
	switch {
	case b.open && !b.probing: // a run from before it opened; that failure is known
	case b.open, b.failures >= failuresInRow, b.score >= failuresInAll:
		b.setHostAside(now)
	}
}

// setHostAside opens the breaker, for twice as long as before if that was a moment ago.
func (b *Breaker) setHostAside(now time.Time) {
	b.setAside = min(2*b.setAside, longSetAside)
	if b.setAside == 0 || now.Sub(b.till) > calm {
		b.setAside = firstSetAside
	}
	b.open, b.probing, b.failures = true, false, 0
	jitter := uniform(b.Seed^uint64(b.setAside)) / 4
	b.till = now.Add(b.setAside + time.Duration(jitter*float64(b.setAside)))
}

// Worked tells that the host did what it was asked. While a probe is out, it closes the breaker.
func (b *Breaker) Worked() {
	b.failures = 0
	b.score *= successEases
	if b.probing {
		b.open, b.probing = false, false
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
