package placement

import "time"

// A Breaker sets a host aside that fails or flaps, and lets single runs through to try it again. The
// zero value is closed: the host is used.
type Breaker struct {
	failures int
	openTill time.Time
	probing  bool
}

// Failed tells that the host failed: it could not be reached, lost a run, broke off a start, or left and came back.
func (b *Breaker) Failed(now time.Time) {
	b.probing = false
	if b.failures++; b.failures >= 3 {
		b.openTill = now.Add(min(30*time.Second, time.Second<<min(5, b.failures-3)))
	}
}

// Worked tells that the host did what it was asked.
func (b *Breaker) Worked() { *b = Breaker{} }

// Allows reports whether the host may be sent one more run or start.
func (b *Breaker) Allows(now time.Time) bool {
	return b.openTill.IsZero() || !now.Before(b.openTill) && !b.probing
}

// Sent tells that a run or start was sent: while the breaker tries the host, that is the one.
func (b *Breaker) Sent(now time.Time) { b.probing = !b.openTill.IsZero() }

// RetryAt is when the host is tried again; zero: its breaker is closed.
func (b *Breaker) RetryAt() time.Time { return b.openTill }
