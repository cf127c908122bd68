package invoker

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// guardLine ends a run's lines, once on stdout and once on stderr.
const guardLine = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

// What OpenWhisk adds to logs that are not whole.
const (
	msgLogsTruncated = "Logs were truncated because the total bytes size exceeds the limit of %d bytes."
	msgLogsFailed    = "There was an issue while collecting your logs. Data might be missing."
	msgLogsMaybeLost = "The action did not initialize or run as expected. Log data might be missing."
)

// logTime is how OpenWhisk writes a line's time: always with nine digits, which
// its clients look for.
const logTime = "2006-01-02T15:04:05.000000000Z"

// A logBook gathers what one container prints, run by run. Two goroutines write
// into it, one for each stream.
type logBook struct {
	streams [2]io.ReadCloser
	readers sync.WaitGroup

	mu        sync.Mutex
	open      bool // a run's lines are wanted
	lines     []string
	size      int
	limit     int
	truncated bool
	guards    [2]bool // seen since begin, or the stream ended
	ended     [2]bool
	whole     chan struct{} // closed when both guards are there
}

var streamNames = [2]string{"stdout", "stderr"}

// newLogBook starts reading both streams to their ends. What comes before the
// first run's end belongs to the first run; limit is in bytes.
func newLogBook(stdout, stderr io.ReadCloser, limit int) *logBook {
	b := &logBook{streams: [2]io.ReadCloser{stdout, stderr}}
	b.begin(limit)
	for i, r := range b.streams {
		b.readers.Go(func() { b.read(i, r) })
	}
	return b
}

// close waits for the streams' ends, but not longer than patience: something that
// the container left may hold them open.
func (b *logBook) close(patience time.Duration) {
	hurry := time.AfterFunc(patience, func() {
		b.streams[0].Close()
		b.streams[1].Close()
	})
	b.readers.Wait()
	hurry.Stop()
	b.streams[0].Close()
	b.streams[1].Close()
}

// begin starts a run's lines; limit is in bytes. What was printed since the last
// run ended belongs to none and is gone.
func (b *logBook) begin(limit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.lines, b.size, b.limit, b.truncated = true, nil, 0, limit, false
	b.guards = b.ended
	b.whole = make(chan struct{})
	b.checkWhole()
}

// end waits for both guard lines, at most until ctx ends, and returns the run's
// lines. whole is false when a guard line is missing.
func (b *logBook) end(ctx context.Context) (lines []string, whole bool) {
	b.mu.Lock()
	done := b.whole
	b.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	whole = b.guards[0] && b.guards[1] && !b.ended[0] && !b.ended[1]
	lines = b.lines
	if b.truncated {
		lines = append(lines, b.stamp(1, fmt.Sprintf(msgLogsTruncated, b.limit)))
	}
	b.open, b.lines = false, nil
	return lines, whole
}

func (b *logBook) checkWhole() {
	if b.guards[0] && b.guards[1] {
		close(b.whole)
	}
}

// read takes a stream to its end, so that the container never blocks on it.
func (b *logBook) read(stream int, r io.Reader) {
	br := bufio.NewReaderSize(r, 16<<10)
	var line []byte // the beginning of a line that is longer than the buffer
	for {
		part, err := br.ReadSlice('\n')
		if len(line) > 0 || err == bufio.ErrBufferFull {
			line = b.grow(line, part)
			part = line
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if len(part) > 0 {
			b.add(stream, bytes.TrimSuffix(part, []byte("\n")))
		}
		if line = line[:0]; cap(line) > 1<<20 {
			line = nil
		}
		if err != nil {
			b.finish(stream)
			return
		}
	}
}

// grow appends to a long line. Of a line beyond the limit the end is kept only as far
// as a guard line needs.
func (b *logBook) grow(line, part []byte) []byte {
	b.mu.Lock()
	limit := b.limit
	b.mu.Unlock()
	line = append(line, part...)
	if over := len(line) - limit - 4*len(guardLine); over > 0 {
		tail := line[len(line)-2*len(guardLine):]
		line = append(line[:limit+1], tail...) // longer than the limit: add will cut it
	}
	return line
}

func (b *logBook) add(stream int, text []byte) {
	rest, isGuard := bytes.CutSuffix(text, []byte(guardLine))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && !b.guards[stream] && (len(rest) > 0 || !isGuard) {
		b.keep(stream, rest)
	}
	if isGuard && b.open && !b.guards[stream] {
		b.guards[stream] = true
		b.checkWhole()
	}
}

func (b *logBook) keep(stream int, text []byte) {
	if b.truncated || b.limit == 0 { // 0: no logs are wanted
		return
	}
	// As in OpenWhisk, a line's time counts: short lines cost as much as they weigh.
	line := b.stamp(stream, strings.ToValidUTF8(string(text), "\uFFFD"))
	if room := b.limit - b.size; len(line) >= room {
		b.truncated = true
		line = strings.ToValidUTF8(line[:max(room-1, 0)], "")
		if len(line) <= len(b.stamp(stream, "")) {
			return
		}
	}
	b.size += len(line) + 1
	b.lines = append(b.lines, line)
}

func (b *logBook) stamp(stream int, text string) string {
	return time.Now().UTC().Format(logTime) + " " + streamNames[stream] + ": " + text
}

// finish notes a stream's end: no guard line will come any more.
func (b *logBook) finish(stream int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended[stream] = true
	if b.open && !b.guards[stream] {
		b.guards[stream] = true
		b.checkWhole()
	}
}
