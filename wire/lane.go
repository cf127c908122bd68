package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// A lane is one connection that carries runs, one at a time, all in the
// goroutine of the run's caller. It belongs to that caller, or to lanes while
// it is idle.
type lane struct {
	conn   net.Conn
	peeker *peeker       // nil: its idle end could not be seen, so it is not kept
	since  time.Time     // when it became idle, by the wall clock; zero: it is not
	used   bool          // it has carried a run
	until  time.Time     // its deadline; zero: none
	broken bool          // a read has failed or come to the end
	failed error         // why the request's first part was not written whole
	last   time.Duration // see lastWrite

	waitedFor bool // the run under way had to wait for it
	renewal   int  // its lanes' renewal when it was given to them last

	interrupt func()        // cuts the run under way
	cut       chan struct{} // has an entry when interrupt has run
	unwatch   func() bool   // nil: the run's context never ends
	sending   chan error    // nil: no body is being streamed
}

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

func newLane(conn net.Conn, last time.Duration) *lane {
	l := &lane{conn: conn, peeker: newPeeker(conn), last: last, cut: make(chan struct{}, 1)}
	l.interrupt = func() {
		l.conn.SetDeadline(longAgo)
		l.cut <- struct{}{}
	}
	return l
}

// slack is how much later than its limit a run may be given up. Setting a deadline
// costs half as much as writing a small request, and so most runs need none of
// their own.
const slack = time.Second

// limit sets when the next run must have ended; zero: never.
func (l *lane) limit(deadline time.Time) {
	if deadline.IsZero() {
		if !l.until.IsZero() {
			l.until = deadline
			l.conn.SetDeadline(deadline)
		}
		return
	}
	if spare := l.until.Sub(deadline); !l.until.IsZero() && spare >= 0 && spare <= slack {
		return
	}
	l.until = deadline.Add(slack)
	l.conn.SetDeadline(l.until)
}

// alive reports whether the peer has kept the connection open, as far as can be
// seen. Whatever can be read while it is idle is its end, because a server
// does not speak before it is asked.
func (l *lane) alive() bool { return l.peeker != nil && !l.peeker.readable() }

// send begins a run: it writes the first part of the request, in one write.
// sent reports whether any of it may have left.
func (l *lane) send(ctx context.Context, first []byte) (sent bool, err error) {
	if ctx.Done() != nil {
		l.unwatch = context.AfterFunc(ctx, l.interrupt)
	}
	n, err := l.conn.Write(first)
	if n > 0 && err != nil {
		l.failed = err
		l.hurry(ctx)
	}
	return n > 0, err
}

// lastAnswer is how long an answer may take to arrive after writing has failed:
// a refusal may already be on its way.
const lastAnswer = time.Second

// hurry bounds the reading after a failed write.
func (l *lane) hurry(ctx context.Context) {
	l.conn.SetReadDeadline(time.Now().Add(lastAnswer))
	if ctx.Err() != nil { // interrupt may have come before
		l.conn.SetReadDeadline(longAgo)
	}
}

// Read reads the answer.
func (l *lane) Read(p []byte) (int, error) {
	n, err := l.conn.Read(p)
	l.broken = l.broken || err != nil
	return n, err
}

// stream writes the rest of a large body, size bytes of r, beside the reading of
// the answer: the host may refuse before it has read all. done waits for it.
func (l *lane) stream(ctx context.Context, r io.Reader, size int64) {
	sending := make(chan error, 1)
	l.sending = sending
	go func() {
		source := &sourceReader{r: r}
		n, err := io.Copy(l.conn, source)
		if source.err == nil && err == nil && n != size {
			source.err = io.ErrUnexpectedEOF
		}
		switch {
		case source.err != nil: // the host waits for what never comes
			l.conn.Close()
			err = source.err
		case err != nil:
			l.hurry(ctx)
		}
		sending <- err
	}()
}

// A sourceReader keeps the error of what it reads, to tell it from a write's.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// WriteTo spares a copy for a body in memory.
func (s *sourceReader) WriteTo(w io.Writer) (int64, error) {
	if memory, ok := s.r.(*bytes.Reader); ok {
		return memory.WriteTo(w)
	}
	return io.Copy(w, struct{ io.Reader }{s})
}

// done ends the run and all that goes on for it. whole says that the answer was
// read to its end. done reports whether the lane may carry another run; if not,
// it has closed the connection.
func (l *lane) done(whole bool) bool {
	keep := whole && !l.broken && l.failed == nil && l.peeker != nil
	l.used = true
	if l.unwatch != nil && !l.unwatch() {
		<-l.cut
		keep = false
	}
	l.unwatch = nil
	if l.sending != nil && !l.sent(keep) {
		keep = false
	}
	if !keep {
		l.conn.Close()
	}
	return keep
}

// lastWrite is how long the end of a body's last write may take to be heard of
// when the answer to it is already here: on a busy machine the writer gets its turn later than the
// reader. A host that has answered without reading all costs the caller so much.
const lastWrite = 100 * time.Millisecond

// sent reports whether the body was streamed whole. If that goes on, it ends it:
// at once, or after l.last where the connection is worth to be kept.
func (l *lane) sent(keep bool) bool {
	sending := l.sending
	l.sending = nil
	if keep {
		timeout := time.NewTimer(l.last)
		defer timeout.Stop()
		select {
		case err := <-sending:
			return err == nil
		case <-timeout.C:
		}
	}
	l.conn.Close()
	<-sending
	return false
}
