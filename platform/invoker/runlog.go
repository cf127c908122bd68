package invoker

import (
	"fmt"
	"strings"
	"time"
)

// What OpenWhisk adds to logs that are not whole.
const (
	msgLogsTruncated = "Logs were truncated because the total bytes size exceeds the limit of %d bytes."
	msgLogsFailed    = "There was an issue while collecting your logs. Data might be missing."
	msgLogsMaybeLost = "The action did not initialize or run as expected. Log data might be missing."
)

// msgLogsMixed is ours: OpenWhisk mixes such lines.
const msgLogsMixed = "%d lines are left out that were printed while several runs overlapped in one container: its runtime does not say whose they are."

// logTime is how OpenWhisk writes a line's time: always with nine digits, which
// its clients look for.
const logTime = "2006-01-02T15:04:05.000000000Z"

var streamNames = [2]string{"stdout", "stderr"}

// lineCost is about what a line costs besides its text: its time, and its stream's name.
const lineCost = len(logTime) + len(" stdout: ")

// A runLog has the lines of one run. The logBook's lock guards it.
type runLog struct {
	id        string
	limit     int // bytes
	size      int
	lines     []string
	truncated bool
	mixed     int       // lines that may have been its own
	part      [2][]byte // lines that go on
	asked     bool      // somebody waits for the end
	guards    [2]bool   // came, or the stream ended
	isWhole   bool
	whole     chan struct{} // closed when both guards are there
}

func (r *runLog) checkWhole() {
	if r.guards[0] && r.guards[1] && !r.isWhole {
		r.isWhole = true
		close(r.whole)
	}
}

// addPart takes a line, or the next part of one.
func (r *runLog) addPart(stream int, text []byte, goesOn bool) {
	switch part := r.part[stream]; {
	case !goesOn && len(part) == 0:
		r.keep(stream, clean(text), time.Now())
	case len(part) <= r.limit: // what is longer will be cut
		r.part[stream] = append(part, text...)
	}
	if !goesOn && len(r.part[stream]) > 0 {
		r.keep(stream, clean(r.part[stream]), time.Now())
		r.part[stream] = r.part[stream][:0]
	}
}

// clean returns text as it may stand in a record.
func clean(text []byte) string { return strings.ToValidUTF8(string(text), "\uFFFD") }

func (r *runLog) keep(stream int, text string, at time.Time) {
	if r.truncated || r.limit == 0 { // 0: no logs are wanted
		return
	}
	// As in OpenWhisk, a line's time counts: short lines cost as much as they weigh.
	line := stamp(at, stream, text)
	if room := r.limit - r.size; len(line) >= room {
		r.truncated = true
		line = strings.ToValidUTF8(line[:max(room-1, 0)], "")
		if len(line) <= len(stamp(at, stream, "")) {
			return
		}
	}
	r.size += len(line) + 1
	r.lines = append(r.lines, line)
}

// finish returns all lines, and what is to be said about them.
func (r *runLog) finish() []string {
	for i, part := range r.part {
		if len(part) > 0 {
			r.keep(i, clean(part), time.Now())
		}
	}
	if r.truncated {
		r.say(fmt.Sprintf(msgLogsTruncated, r.limit))
	}
	if r.mixed > 0 && r.limit > 0 {
		r.say(fmt.Sprintf(msgLogsMixed, r.mixed))
	}
	return r.lines
}

func (r *runLog) say(text string) { r.lines = append(r.lines, stamp(time.Now(), 1, text)) }

func stamp(at time.Time, stream int, text string) string {
	return at.UTC().Format(logTime) + " " + streamNames[stream] + ": " + text
}
