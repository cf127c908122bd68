package placement

import "time"

// When a host counts as quiet; design.md says why these.
const (
	quietAfter = 3 * time.Second        // servers report every two seconds at least; one more for the way
	quietSoon  = 500 * time.Millisecond // after that and two round trips, if much was sent meanwhile
	quietRuns  = 2                      // that much, for each CPU
)

// Heard tells that the host has said something: a report, or an answer to a run. An owner who never
// calls it has no quiet hosts.
func (h *Host) Heard(now time.Time) {
	h.heardAt, h.loadThen = now, h.Load
}

// quiet reports whether the host has said nothing for so long that it may be gone. A connection that
// is cut somewhere on the way looks like that until keep-alive gives it up, seconds later, and
// all that was sent there by then is lost. So nothing new is sent to a quiet host.
func (h *Host) quiet(now time.Time) bool {
	if h.heardAt.IsZero() {
		return false
	}
	silence := now.Sub(h.heardAt)
	if silence < quietSoon+2*h.RTT {
		return false
	}
	return silence > quietAfter || float64(h.Load-h.loadThen) > quietRuns*h.cpus()
}

// asideTill is when to look again at a host that is set aside for now; zero: it is not.
func (h *Host) asideTill(now time.Time) time.Time {
	switch {
	case !h.Breaker.Allows(now):
		return h.Breaker.RetryAt()
	case h.quiet(now):
		return now.Add(quietSoon)
	}
	return time.Time{}
}
