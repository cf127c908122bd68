package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	// gather is how long an item may wait for the next at most, so that many leave together.
	gather = 10 * time.Millisecond
	// heartbeat is the longest silence between two items: then a comment leaves, so
	// that no proxy on the way takes the connection for dead.
	heartbeat = 15 * time.Second
	// Unread is how long a write may wait for a reader that does not read, before
	// the run is cancelled; for each slowest bytes of it a second more. Else a
	// reader could hold a worker for ever. On Linux the listeners' TCP_USER_TIMEOUT
	// gives up sooner.
	Unread  = 30 * time.Second
	slowest = 64 << 10
	// late is how long a write may wait after the run's time is over: less than the
	// grace that a function has to end by itself then.
	late = time.Second
)

// The outcomes of a run that ended by itself, but not well. OpenWhisk's names.
const (
	ApplicationError = "application_error" // the function says so, by its last item
	DeveloperError   = "developer_error"   // it returned what no platform takes
)

// The names of events; plain items have none.
const (
	EventEnd    = "end"
	eventResult = "result"
	eventError  = "error"
)

// An End is the data of the event end.
type End struct {
	Outcome string `json:"outcome"` // a function.Outcome, or one of the above
	Stream  bool   `json:"stream,omitempty"`
	Items   int    `json:"items"`
}

// An Ending is how a run ended.
type Ending struct {
	// Outcome is function.OutcomeOK or another of these, or DeveloperError.
	Outcome string
	// Stream says that the items were those of a stream, and not a plain result.
	Stream bool
	// Error is {"error":"…"}, or empty when all is well.
	Error []byte
}

// A Writer writes the items of one run to its HTTP answer.
type Writer struct {
	form   Form
	unread time.Duration

	mu      sync.Mutex // guards all below, between the run and the timer
	w       http.ResponseWriter
	control *http.ResponseController
	timer   *time.Timer // nil before the first item
	until   time.Time   // see Until
	begun   bool        // the status line is written
	ended   bool
	dirty   bool      // something waits to be flushed
	flushed time.Time // when something left the last time
	items   int
	failed  bool   // the last item says that the run has failed
	buf     []byte // an item, while it is dressed
}

// NewWriter returns a Writer that has written nothing yet. A write that waits for
// unread for its reader fails; 0 means Unread. Once it has begun, End must be called
// before the HTTP handler returns.
func NewWriter(w http.ResponseWriter, form Form, unread time.Duration) *Writer {
	if unread == 0 {
		unread = Unread
	}
	return &Writer{form: form, unread: unread, w: w, control: http.NewResponseController(w)}
}

var errEnded = errors.New("the run's answer has ended")

// Item sends an item, which is JSON. Its error means that nobody listens any more.
func (w *Writer) Item(item []byte) error {
	if len(item) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return errEnded
	}
	name := ""
	if w.failed = only(item, "error") != nil; w.failed {
		name = eventError
	} else if answerOf(item) != nil {
		name = eventResult
	}
	w.items++
	return w.send(name, item)
}

// Event passes on an event that a Reader has read. The one called end is the last.
func (w *Writer) Event(name string, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
		return errEnded
	case name == EventEnd:
		w.last(data)
		return nil
	}
	return w.send(name, data)
}

// send writes an event. mu must be held.
func (w *Writer) send(name string, data []byte) error {
	w.begin()
	if err := w.write(w.dress(name, data)); err != nil {
		return err
	}
	return w.soon()
}

// Until says when the run's time is over. After that nobody waits for the reader any
// more: the run could not end, and its worker would be lost.
func (w *Writer) Until(end time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = end
}

// Begun reports whether something was sent, so that the status can't be changed.
func (w *Writer) Begun() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begun
}

// End ends the answer, which begins with it if there was no item.
func (w *Writer) End(e Ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	if len(e.Error) > 0 {
		w.begin()
		w.write(w.dress(eventError, e.Error)) // who does not listen cannot be told
	} else if w.failed {
		e.Outcome = ApplicationError
	}
	end, _ := json.Marshal(End{e.Outcome, e.Stream, w.items}) // cannot fail
	w.last(end)
}

// last writes the event end, for which lines have nothing. mu must be held.
func (w *Writer) last(end []byte) {
	w.begin()
	w.ended = true
	w.timer.Stop()
	if w.form == Events {
		w.write(w.dress(EventEnd, end))
	}
	w.flush()
	w.control.SetWriteDeadline(time.Time{}) // the connection's next answer has its own
}

// begin writes the status line and starts the timer. mu must be held.
func (w *Writer) begin() {
	if w.begun {
		return
	}
	w.begun = true
	h := w.w.Header()
	h["Content-Type"] = []string{w.form.ContentType()}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Accel-Buffering"] = []string{"no"} // nginx would gather items
	w.w.WriteHeader(http.StatusOK)
	w.timer = time.AfterFunc(heartbeat, w.tick)
}

// dress returns the item in the reader's form. A line end inside of it can only be
// insignificant space in JSON. mu must be held.
func (w *Writer) dress(name string, item []byte) []byte {
	b := w.buf[:0]
	if w.form == Events {
		if name != "" {
			b = append(append(append(b, "event: "...), name...), '\n')
		}
		b = append(b, "data: "...)
	}
	start := len(b)
	b = append(b, item...)
	if bytes.ContainsAny(item, "\r\n") {
		for i, c := range b[start:] {
			if c == '\r' || c == '\n' {
				b[start+i] = ' '
			}
		}
	}
	b = append(b, '\n')
	if w.form == Events {
		b = append(b, '\n')
	}
	if w.buf = b; cap(b) > maxKept {
		w.buf = nil
	}
	return b
}

// maxKept is the largest buffer that is kept for later items.
const maxKept = 256 << 10

// write bounds the time of a write by its size. mu must be held.
func (w *Writer) write(p []byte) error {
	w.control.SetWriteDeadline(w.deadline(len(p), time.Now())) // who knows no deadlines has no reader that could hold us up
	_, err := w.w.Write(p)
	return err
}

// deadline is when the reader must have taken n bytes. mu must be held.
func (w *Writer) deadline(n int, now time.Time) time.Time {
	end := now.Add(w.unread + time.Duration(n/slowest)*time.Second)
	if w.until.IsZero() || w.until.Add(late).After(end) {
		return end
	}
	if w.until.After(now) {
		return w.until.Add(late)
	}
	return now.Add(late)
}

// soon flushes at once if nothing has left lately, or else a moment later. mu must be held.
func (w *Writer) soon() error {
	switch now := time.Now(); {
	case w.dirty:
		return nil // the timer will
	case now.Sub(w.flushed) < gather:
		w.dirty = true
		w.timer.Reset(gather)
		return nil
	}
	w.timer.Reset(heartbeat)
	return w.flush()
}

// flush sends what is there. mu must be held.
func (w *Writer) flush() error {
	w.dirty = false
	err := w.control.Flush()
	w.flushed = time.Now()
	return err
}

// tick is what the timer does: it sends what is there, or else a sign of life. A
// failure is seen by the next item, and cancels the request.
func (w *Writer) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	if !w.dirty && w.form == Events {
		w.write([]byte(":\n\n"))
		w.dirty = true
	}
	if w.dirty {
		w.flush()
	}
	w.timer.Reset(heartbeat)
}
