package runtime

import (
	"io"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// endless is the longest time left that is told: far beyond every time limit, and far enough
// from the largest Duration for whoever adds some time of his own.
const endless = 365 * 24 * time.Hour

// timeLeft returns how long it is from now to a deadline in epoch milliseconds.
// A deadline that is past already counts as none, which is 0: a container that
// was frozen, or whose clock is off, must still do its work.
func timeLeft(deadline int64, now time.Time) time.Duration {
	if deadline <= 0 {
		return 0
	}
	return min(max(time.UnixMilli(deadline).Sub(now), 0), endless)
}

// bodyDeadline returns the deadline of a /run body in epoch milliseconds, or 0.
// Bodies up to memory bytes are in memory, others in a file.
func bodyDeadline(body function.Body, memory int64) int64 {
	if body.Len() <= memory {
		var d deadlineFinder
		data, _ := body.Bytes() // cannot fail for one in memory
		d.Write(data)
		return d.deadline
	}
	d := new(deadlineFinder)
	io.Copy(d, body.Open()) // what fails here fails for the host too, which says so
	return d.deadline
}
