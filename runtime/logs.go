package runtime

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// guard is the line that ends a run's logs on each stream.
const guard = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"

const (
	// flushDelay is how long a log line may wait for more, or for the guard,
	// so that they leave in one write.
	flushDelay = 10 * time.Millisecond
	// flushSize is how many bytes of logs wait at most.
	flushSize = 32 << 10
)

// A logStream is the runtime's own stdout or stderr. Each write is whole: two
// runs may mix their chunks, but never the bytes of one.
type logStream struct {
	mu sync.Mutex
	w  io.Writer
}

func newLogStream(w io.Writer) *logStream {
	if w == nil {
		w = io.Discard
	}
	return &logStream{w: w}
}

// write writes p. If nobody takes it, the run goes on all the same.
func (l *logStream) write(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.Write(p)
}

const (
	stdout = 0
	stderr = 1
)

// runLogs are the logs of one run on their way to the two streams. They pass
// through as they come, a moment late.
type runLogs struct {
	streams [2]*logStream
	tag     string // what each line begins with; empty: lines pass as they come

	mu      sync.Mutex
	pending [2][]byte
	last    [2][]byte   // the last bytes written, fewer than a guard has
	midLine [2]bool     // the last byte was no line's end
	part    [2][]byte   // of a tagged line whose end has not come
	timer   *time.Timer // made at the first log
	armed   bool
}

// write takes some logs for stream i.
func (l *runLogs) write(i int, p []byte) {
	if len(p) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.midLine[i] = p[len(p)-1] != '\n'
	p = l.defuse(i, p)
	if l.tag != "" {
		l.writeTagged(i, p)
		return
	}
	if len(l.pending[i])+len(p) > flushSize {
		l.flushOne(i)
		l.streams[i].write(p)
		return
	}
	l.pending[i] = append(l.pending[i], p...)
	l.arm()
}

// guardWord is what a platform looks for, also in the middle of a line; broken
// is a text that only looks like it.
const (
	guardWord = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
	broken    = "XXX_THE_END_OF_A_WHISK_ACTIVATION_X XX"
)

// defuse returns p with a space in each guard that the function itself wrote: the
// platform would take it for the end of the logs, and lose the rest.
func (l *runLogs) defuse(i int, p []byte) []byte {
	const most = len(guardWord) - 1
	var seam [2 * most]byte
	n := copy(seam[:], l.last[i])
	n += copy(seam[n:], p[:min(len(p), most)])
	if bytes.Contains(seam[:n], []byte(guardWord)) { // begun in an earlier piece
		p = append([]byte{' '}, p...)
	}
	if bytes.Contains(p, []byte(guardWord)) {
		p = bytes.ReplaceAll(p, []byte(guardWord), []byte(broken))
	}
	l.last[i] = append(l.last[i], p[max(0, len(p)-most):]...)
	l.last[i] = append(l.last[i][:0], l.last[i][max(0, len(l.last[i])-most):]...)
	return p
}

// arm makes sure that a flush is under way.
func (l *runLogs) arm() {
	switch {
	case l.armed:
		return
	case l.timer == nil:
		l.timer = time.AfterFunc(flushDelay, l.flush)
	default:
		l.timer.Reset(flushDelay)
	}
	l.armed = true
}

// flush is what the timer does. It may come late, when the logs belong to
// another run already; then it only shortens that run's delay.
func (l *runLogs) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	l.flushOne(stdout)
	l.flushOne(stderr)
}

func (l *runLogs) flushOne(i int) {
	if len(l.pending[i]) > 0 {
		l.streams[i].write(l.pending[i])
		l.pending[i] = l.pending[i][:0]
	}
}

// finish writes what is left, and the guard lines, in one write for each stream.
func (l *runLogs) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.armed {
		l.timer.Stop()
		l.armed = false
	}
	for i := range l.streams {
		l.last[i] = l.last[i][:0]
		if l.tag != "" {
			l.finishTagged(i)
			l.flushOne(i)
			continue
		}
		if l.midLine[i] {
			l.pending[i] = append(l.pending[i], '\n')
			l.midLine[i] = false
		}
		l.pending[i] = append(l.pending[i], guard...)
		l.flushOne(i)
	}
}
