package http1

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// outSize is up to where an answer is copied into one piece: that costs less than
	// another write.
	outSize = 16 << 10
	// heldBack is how much of an answer waits when its length is not known: one that
	// ends before has a Content-Length. net/http holds back as much.
	heldBack = 2 << 10
)

// A response is the answer at hand.
type response struct {
	c      *conn
	header http.Header

	began     bool  // WriteHeader was called
	status    int   // as it said
	length    int64 // of the body, as the handler declared; -1: it did not
	written   int64 // bytes of a body whose length is known
	headEnded bool  // it is said how long the body is
	chunked   bool
	last      bool  // the connection ends with it
	timed     bool  // the handler has set a read deadline
	failed    error // of a write; nothing more is written

	out  []byte // what leaves next, head first
	text []byte // of the body, held back
}

func (w *response) begin(last bool) {
	clear(w.header)
	w.began, w.status, w.length, w.written, w.headEnded, w.chunked = false, 0, -1, 0, false, false
	w.last, w.timed, w.failed = last, false, nil
	w.out, w.text = w.out[:0], w.text[:0]
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter, but for provisional answers (1xx),
// which are left out.
func (w *response) WriteHeader(status int) {
	if w.began || status < 200 {
		return
	}
	w.began, w.status = true, status
	if w.hasBody() {
		w.length = declared(w.header)
	}
	if w.c.s.closing.Load() || w.c.body.left > maxUnread {
		w.last = true
	}
	w.putHead()
}

// hasBody reports whether answers with this status have one.
func (w *response) hasBody() bool {
	return w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

func declared(h http.Header) int64 {
	n, ok := parseLength(h["Content-Length"])
	if !ok {
		return -1
	}
	return n
}

// putHead writes the head, but for what says how long the body is.
func (w *response) putHead() {
	w.out = append(w.out, "HTTP/1.1 "...)
	w.out = strconv.AppendInt(w.out, int64(w.status), 10)
	w.out = append(append(w.out, ' '), http.StatusText(w.status)...)
	w.out = append(w.out, "\r\n"...)
	dated := false
	for name, values := range w.header {
		switch name {
		case "Content-Length", "Transfer-Encoding": // said at the end
			continue
		case "Connection":
			w.last = w.last || len(values) > 0 && strings.EqualFold(values[0], "close")
			continue
		case "Date":
			dated = true
		}
		if strings.HasPrefix(name, http.TrailerPrefix) {
			continue // said at the end
		}
		for _, value := range values {
			w.put(name, value)
		}
	}
	if !dated {
		w.put("Date", w.c.s.date())
	}
	if w.last {
		w.put("Connection", "close")
	}
}

// put writes one header. What would end it becomes a space, as in net/http.
func (w *response) put(name, value string) {
	w.out = append(append(w.out, name...), ": "...)
	if isPlainValue(value) {
		w.out = append(w.out, value...)
	} else {
		w.out = append(w.out, lineEnds.Replace(value)...)
	}
	w.out = append(w.out, "\r\n"...)
}

var lineEnds = strings.NewReplacer("\n", " ", "\r", " ")

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK) // unless that was done
	switch {
	case w.failed != nil:
		return 0, w.failed
	case !w.hasBody():
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0:
		return w.writeDeclared(p)
	case len(w.text)+len(p) <= heldBack:
		w.text = append(w.text, p...)
		return len(p), nil
	}
	w.sendChunk(p)
	return len(p), w.failed
}

// writeDeclared writes some of a body whose length is known.
func (w *response) writeDeclared(p []byte) (int, error) {
	if w.written+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	w.endHead()
	w.written += int64(len(p))
	if len(w.out)+len(p) <= outSize {
		w.out = append(w.out, p...)
		return len(p), nil
	}
	w.send(p)
	return len(p), w.failed
}

// endHead ends the head, unless that was done: with the body's length, or with
// the word that it comes in chunks.
func (w *response) endHead() {
	if w.headEnded {
		return
	}
	w.headEnded = true
	switch {
	case !w.hasBody():
	case w.length < 0:
		w.chunked = true
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	default:
		w.out = append(w.out, "Content-Length: "...)
		w.out = strconv.AppendInt(w.out, w.length, 10)
		w.out = append(w.out, "\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// send writes what waits, and more.
func (w *response) send(more ...[]byte) {
	switch {
	case w.failed != nil:
	case len(more) == 0:
		_, w.failed = w.c.net.Write(w.out)
	default:
		all := append(net.Buffers{w.out}, more...)
		_, w.failed = all.WriteTo(w.c.net)
	}
	w.out = w.out[:0]
}

// Flush implements http.Flusher.
func (w *response) Flush() { w.FlushError() }

// FlushError sends what there is. See http.ResponseController.
func (w *response) FlushError() error {
	w.WriteHeader(http.StatusOK)
	switch {
	case len(w.text) > 0:
		w.sendChunk(nil)
	default:
		w.endHead()
		if len(w.out) > 0 {
			w.send()
		}
	}
	return w.failed
}

// sendChunk sends what was held back, and p, as one chunk. One of both is not empty.
func (w *response) sendChunk(p []byte) {
	w.endHead()
	w.out = strconv.AppendInt(w.out, int64(len(w.text)+len(p)), 16)
	w.out = append(append(w.out, "\r\n"...), w.text...)
	w.text = w.text[:0]
	if len(w.out)+len(p)+2 <= outSize {
		w.out = append(append(w.out, p...), "\r\n"...)
		w.send()
		return
	}
	w.send(p, []byte("\r\n"))
}

// finish ends the answer. It reports whether the connection may go on.
func (w *response) finish() bool {
	w.WriteHeader(http.StatusOK)
	if w.hasBody() && !w.headEnded && w.length < 0 {
		w.length, w.written = int64(len(w.text)), int64(len(w.text))
	}
	w.endHead()
	if w.chunked && len(w.text) > 0 {
		w.out = strconv.AppendInt(w.out, int64(len(w.text)), 16)
		w.out = append(append(append(w.out, "\r\n"...), w.text...), "\r\n"...)
	} else {
		w.out = append(w.out, w.text...)
	}
	if w.chunked {
		w.putTrailers()
	}
	if len(w.out) > 0 {
		w.send()
	}
	w.shrink()
	return w.failed == nil && !w.last && (w.length < 0 || w.written == w.length)
}

// putTrailers ends a body in chunks, with the headers that are named with
// http.TrailerPrefix.
func (w *response) putTrailers() {
	w.out = append(w.out, "0\r\n"...)
	for name, values := range w.header {
		trailer, found := strings.CutPrefix(name, http.TrailerPrefix)
		if !found {
			continue
		}
		for _, value := range values {
			w.put(trailer, value)
		}
	}
	w.out = append(w.out, "\r\n"...)
}

// shrink gives back buffers that have grown.
func (w *response) shrink() {
	if cap(w.out) > 2*outSize {
		w.out = nil
	}
	if cap(w.text) > 2*outSize {
		w.text = nil
	}
}

// SetReadDeadline is for http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error {
	w.timed = true
	return w.c.net.SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.c.net.SetWriteDeadline(t) }

// A stamp is a second as HTTP writes it.
type stamp struct {
	second int64
	text   string
}

// A clock makes the texts for the header Date, one a second.
type clock struct{ now atomic.Pointer[stamp] }

func (c *clock) text(now time.Time) string {
	if s := c.now.Load(); s != nil && s.second == now.Unix() {
		return s.text
	}
	s := &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
	c.now.Store(s)
	return s.text
}

func (s *Server) date() string { return s.clock.text(time.Now()) }
