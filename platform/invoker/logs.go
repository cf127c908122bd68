package invoker

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// guardLine ends a run's lines, once on stdout and once on stderr.
const guardLine = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

// A logBook gathers what one container prints, run by run. Two goroutines write
// into it, one for each stream.
//
// Where runs overlap, a runtime of ours says whose each line is: it begins with the
// activation's id, and a space, or a "+" where the line goes on in the
// stream's next one with that id. Other runtimes do not. Then a line counts
// only while one run is open; what comes while several are is nobody's, and they are told so.
type logBook struct {
	streams [2]io.ReadCloser
	readers sync.WaitGroup
	printed atomic.Int64 // pieces read

	mu      sync.Mutex
	byRun   bool // each line begins with its run's id
	guarded bool // a guard line has been seen
	ends    int  // of runs so far
	begun   bool // there has been a run
	early   []earlyLine
	runs    []*runLog // the open ones, the oldest first
	guards  [2]int    // that came and belong to a run of which nobody has asked for the end
	ended   [2]bool
	longest int // the largest limit of an open run
}

// An earlyLine was printed before the first run; it belongs to it.
type earlyLine struct {
	stream int
	text   string
	at     time.Time
}

// maxEarly is how many bytes of those are kept.
const maxEarly = 64 << 10

// newLogBook starts reading both streams to their ends.
func newLogBook(stdout, stderr io.ReadCloser) *logBook {
	b := &logBook{streams: [2]io.ReadCloser{stdout, stderr}, longest: maxEarly}
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

// knowsRuns says that from now on each line tells whose it is.
func (b *logBook) knowsRuns() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byRun = true
}

// begin opens the log of a run; limit is in bytes. What was printed since the last run
// ended belongs to none and is gone.
func (b *logBook) begin(id string, limit int) *runLog {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &runLog{id: id, limit: limit, guards: b.ended, whole: make(chan struct{})}
	if len(b.runs) == 0 {
		b.guards, b.longest = [2]int{}, limit
	}
	b.longest = max(b.longest, limit)
	if !b.begun {
		for _, l := range b.early {
			r.keep(l.stream, l.text, l.at)
		}
		b.begun, b.early = true, nil
	}
	b.runs = append(b.runs, r)
	r.checkWhole()
	return r
}

// end waits for both guard lines of the run, and returns its lines. It gives up when
// ctx ends, or when nothing at all was printed for as long as silence; a container that prints
// something all the time is believed ten times as long. whole is false when a guard line is missing.
func (b *logBook) end(ctx context.Context, r *runLog, silence time.Duration) (lines []string, whole bool) {
	b.mu.Lock()
	r.asked = true
	for i := range b.guards {
		if !r.guards[i] && b.guards[i] > 0 {
			b.guards[i]--
			r.guards[i] = true
			r.checkWhole()
		}
	}
	isWhole := r.isWhole
	b.mu.Unlock()
	if !isWhole {
		b.await(ctx, r, silence)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	whole = r.guards[0] && r.guards[1] && !b.ended[0] && !b.ended[1]
	b.forget(r)
	b.ends++
	return r.finish(), whole
}

// isGuardless reports whether the container lives and has never printed a guard line, in how many runs.
func (b *logBook) isGuardless() (yes bool, runs int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.guarded && !b.byRun && !b.ended[0] && !b.ended[1], b.ends
}

func (b *logBook) await(ctx context.Context, r *runLog, silence time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, 10*silence)
	defer cancel()
	for seen := b.printed.Load(); ; {
		timer := time.NewTimer(silence)
		select {
		case <-r.whole:
		case <-ctx.Done():
		case <-timer.C:
			if now := b.printed.Load(); now != seen {
				seen = now
				continue
			}
		}
		timer.Stop()
		return
	}
}

// drop forgets a run that did not come about.
func (b *logBook) drop(r *runLog) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(r)
}

func (b *logBook) forget(r *runLog) {
	b.runs = slices.DeleteFunc(b.runs, func(other *runLog) bool { return other == r })
}

// read takes a stream to its end, so that the container never blocks on it.
func (b *logBook) read(stream int, r io.Reader) {
	br := bufio.NewReaderSize(r, 16<<10)
	var line []byte // the beginning of a line that is longer than the buffer
	for {
		part, err := br.ReadSlice('\n')
		b.printed.Add(1)
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
	limit := b.longest
	b.mu.Unlock()
	line = append(line, part...)
	if over := len(line) - limit - 4*len(guardLine); over > 0 {
		tail := line[len(line)-2*len(guardLine):]
		line = append(line[:limit+1], tail...) // longer than the limit: add will cut it
	}
	return line
}

// add takes a line, without its end.
func (b *logBook) add(stream int, text []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byRun {
		b.addTagged(stream, text)
		return
	}
	rest, isGuard := bytes.CutSuffix(text, []byte(guardLine))
	if len(rest) > 0 || !isGuard {
		b.addPlain(stream, rest)
	}
	if isGuard {
		b.guarded = true
		b.guard(stream)
	}
}

// addPlain finds out whose a line is that does not say so.
func (b *logBook) addPlain(stream int, text []byte) {
	switch {
	case len(b.runs) == 1:
		if r := b.runs[0]; !r.guards[stream] && b.guards[stream] == 0 {
			r.keep(stream, clean(text), time.Now())
		}
	case len(b.runs) > 1:
		for _, r := range b.runs {
			r.mixed++
		}
	case !b.begun:
		if size := len(text) + lineCost; b.longest >= size {
			b.longest -= size
			b.early = append(b.early, earlyLine{stream, clean(text), time.Now()})
		}
	}
}

// guard gives a guard line that does not say whose it is to a run that waits for
// its end, or keeps it for the next that does.
func (b *logBook) guard(stream int) {
	for _, r := range b.runs {
		if r.asked && !r.guards[stream] {
			r.guards[stream] = true
			r.checkWhole()
			return
		}
	}
	if b.guards[stream] < len(b.runs) {
		b.guards[stream]++
	}
}

// addTagged takes a line that begins with the id of its run. Others are nobody's.
func (b *logBook) addTagged(stream int, text []byte) {
	for _, r := range b.runs {
		n := len(r.id)
		if len(text) <= n || string(text[:n]) != r.id {
			continue
		}
		switch mark, rest := text[n], text[n+1:]; {
		case r.guards[stream]:
		case string(rest) == guardLine:
			r.guards[stream] = true
			r.checkWhole()
		default:
			r.addPart(stream, rest, mark == '+')
		}
		return
	}
}

// finish notes a stream's end: no guard line will come any more.
func (b *logBook) finish(stream int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended[stream] = true
	for _, r := range b.runs {
		r.guards[stream] = true
		r.checkWhole()
	}
}
