package wire

import (
	"math"
	"net/http"
	"testing"
	"time"
)

// What one side writes the other one reads, whatever a platform names as its deadline.
func TestEveryTimeCanBeSent(t *testing.T) {
	for _, c := range []struct{ sent, read time.Duration }{
		{0, 0},
		{1, time.Millisecond},
		{time.Millisecond, time.Millisecond},
		{time.Millisecond + 1, 2 * time.Millisecond},
		{time.Minute, time.Minute},
		{maxMillis * time.Millisecond, maxMillis * time.Millisecond},
		{maxMillis*time.Millisecond + 1, maxMillis * time.Millisecond},
		{math.MaxInt64, maxMillis * time.Millisecond},
	} {
		got, err := durationHeader(http.Header{headerTimeout: {millis(c.sent)}}, headerTimeout)
		if err != nil || got != c.read {
			t.Errorf("%d was sent as %s, and read as %d %v", c.sent, millis(c.sent), got, err)
		}
	}
}
