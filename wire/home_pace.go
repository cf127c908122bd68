package wire

import "time"

const (
	minBackoff     = 100 * time.Millisecond
	maxBackoff     = 5 * time.Second
	refusedBackoff = 30 * time.Second
	// settled is how long a join must last to count as a good one.
	settled = 10 * time.Second
)

// backoff returns how long to wait after the nth failure in a row: from half of
// it to all of it, as random in [0,1) says.
func backoff(n int, refused bool, random float64) time.Duration {
	d := refusedBackoff
	if !refused {
		d = min(maxBackoff, minBackoff<<min(n-1, 10))
	}
	return d/2 + time.Duration(random*float64(d/2))
}

const (
	spareConns = 8    // at least so many are fresh
	maxDials   = 32   // at a time; more are not kept fresh either
	maxConns   = 2048 // of one server
)

// missing returns how many connections to dial: as many shall be fresh as were used,
// so that a burst doubles what there is with each round trip. What is idle here does not
// count: the answer that it sent last may be on its way still, and on a long way most
// are. The balancer begins a fresh one only where it has no other.
func missing(fresh, used, dialing int) int {
	want := min(max(spareConns, used), maxDials) - fresh - dialing
	return max(0, min(want, maxDials-dialing, maxConns-fresh-used-dialing))
}
