package wire

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// firstFlush is when the status line of a run leaves at the latest.
	firstFlush = 100 * time.Millisecond
	// gather is how long frames of a longer run are gathered before they leave.
	gather = 10 * time.Millisecond
	// heartbeat is the longest silence of a longer run: then an empty frame
	// leaves, so that no proxy on the way takes the connection for dead.
	heartbeat = 15 * time.Second
	// unread is how long a write may wait for a client that does not read,
	// before the run is cancelled; for each slowest bytes of it a second more.
	// Else a client could hold a worker for ever.
	unread  = 30 * time.Second
	slowest = 64 << 10
	// buffered is what net/http keeps at least before it writes: a short answer
	// needs no such care.
	buffered = 2 << 10
	// smallFrame is up to where a copy costs less than another write.
	smallFrame = 1 << 10
)

// An answer writes the frames of one run to its HTTP answer. It is the run's
// Output. A short run leaves in one write, together with the status line.
type answer struct {
	timer *time.Timer

	mu     sync.Mutex // guards all below, between the run and the timer
	w      http.ResponseWriter
	frames int  // written by the run
	bytes  int  // likewise
	sent   bool // the status line has left
	dirty  bool // frames wait to be flushed
	ended  bool
	unread time.Duration
	timed  bool   // the connection has a write deadline
	buf    []byte // a small frame, while it is made
	text   []byte // the end's JSON
}

var errEnded = errors.New("the run's answer has ended")

// An answerPool reuses answers and their timers.
type answerPool struct {
	free   sync.Pool
	unread time.Duration // see the constant
}

func (p *answerPool) get(w http.ResponseWriter, contentType []string) *answer {
	w.Header()["Content-Type"] = contentType
	a, _ := p.free.Get().(*answer)
	if a == nil {
		a = new(answer)
	}
	a.mu.Lock() // a tick of the timer may be late
	defer a.mu.Unlock()
	a.unread = p.unread
	a.w, a.frames, a.bytes, a.sent, a.dirty, a.ended, a.timed = w, 0, 0, false, false, false, false
	if a.timer == nil {
		a.timer = time.AfterFunc(firstFlush, a.tick)
	} else {
		a.timer.Reset(firstFlush)
	}
	return a
}

// put takes back an ended answer, unless its timer may still be firing.
func (p *answerPool) put(a *answer) {
	if a.timer.Stop() {
		p.free.Put(a)
	}
}

// Write writes one frame.
func (a *answer) Write(s function.Stream, p []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return errEnded
	}
	a.frames++
	if err := a.frame(s, p); err != nil {
		return err
	}
	if a.sent && !a.dirty {
		a.dirty = true
		a.timer.Reset(gather)
	}
	return nil
}

// frame writes p as one frame, or as several where it is too large for one.
// a.mu is held.
func (a *answer) frame(s function.Stream, p []byte) error {
	if len(p) > function.MaxFrame {
		return function.Errorf(function.CodeTooLarge, "a frame has at most %d bytes, not %d", function.MaxFrame, len(p))
	}
	if a.bytes += function.FrameHeaderSize + len(p); a.sent || a.bytes > buffered {
		a.hurry(len(p))
	}
	a.buf = append(a.buf[:0], make([]byte, function.FrameHeaderSize)...)
	function.PutFrameHeader(a.buf, s, len(p))
	if len(p) <= smallFrame {
		a.buf = append(a.buf, p...)
		_, err := a.w.Write(a.buf)
		return err
	}
	if _, err := a.w.Write(a.buf); err != nil {
		return err
	}
	_, err := a.w.Write(p)
	return err
}

// hurry bounds the writes of the next n bytes. a.mu is held.
func (a *answer) hurry(n int) {
	limit := a.unread + time.Duration(n/slowest)*time.Second
	// A ResponseWriter that knows no deadlines has no client that could hold it up.
	a.timed = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(limit)) == nil || a.timed
}

// unhurry sends what is there, and takes the deadline away: the connection's next
// answer has its own. a.mu is held.
func (a *answer) unhurry() {
	if !a.timed {
		return
	}
	rc := http.NewResponseController(a.w)
	rc.Flush()
	rc.SetWriteDeadline(time.Time{})
}

// tick is called by the timer: it sends what is there, and when nothing is, a
// sign of life.
func (a *answer) tick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	if a.sent && !a.dirty {
		a.frame(function.Stdout, nil)
	}
	a.sent, a.dirty = true, false
	a.hurry(0)
	// An error here is seen by the next Write, and cancels the request.
	http.NewResponseController(a.w).Flush()
	a.timer.Reset(heartbeat)
}

// end writes frame 0. When nothing has left yet, it returns the host's error
// for a plain refusal.
func (a *answer) end(sum function.Summary, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	last := end{Summary: sum}
	if err != nil {
		if !a.sent && a.frames == 0 {
			a.w.Header().Del("Content-Type")
			return err
		}
		last.Summary = function.Lost(err.Error())
		if a.frames == 0 {
			r := refusalOf(err)
			last.Refused = &r
		}
	}
	a.text = last.append(a.text[:0])
	a.frame(function.End, a.text) // who does not listen cannot be told
	a.unhurry()
	return nil
}
