package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// inSize is the buffer for requests. Longer heads are net/http's.
	inSize = 8 << 10
	// watchAfter is how long a handler may take before its client is watched: a
	// shorter one has no use for knowing that its client has left.
	watchAfter = 10 * time.Millisecond
	// maxUnread is how much of a body that the handler did not read is read so that
	// the connection can go on: what net/http reads, too.
	maxUnread = 256 << 10
	// lingering is how long the client has to read an answer that was given before its
	// body was read: a close would take the answer from it. As in net/http.
	lingering = 500 * time.Millisecond
	// freshFor is how long a new connection's first request may take to come when the
	// server is about to end.
	freshFor = time.Second
)

// A phase is what a connection does.
type phase = int32

const (
	fresh  phase = iota // nothing has come yet
	idle                // between requests
	inHead              // a part of a request's head is here
	active              // a handler runs
	closed              // its end has begun
)

// A conn is one connection, served by one goroutine. What has no lock is that
// goroutine's.
type conn struct {
	s     *Server
	net   net.Conn
	phase atomic.Int32
	since atomic.Int64 // when the phase began, in Unix nanoseconds

	in         []byte // inSize bytes
	start, end int    // in[start:end] was read, and not yet taken
	least      int    // so many bytes there must be before they are looked at

	request  request
	body     body
	response response
	lookout  lookout
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{s: s, net: nc, in: make([]byte, inSize)}
	c.since.Store(time.Now().UnixNano())
	c.request.init(nc)
	c.body.c, c.response.c = c, c
	c.response.header = make(http.Header, 8)
	c.lookout.init(nc)
	return c
}

// enter begins a phase. It reports false when the connection was closed meanwhile.
func (c *conn) enter(next phase) bool {
	c.since.Store(time.Now().UnixNano())
	now := c.phase.Load()
	return now != closed && c.phase.CompareAndSwap(now, next)
}

// closeIfIdle ends a connection that waits for a request, unless it has come just now: then
// its first one is on its way.
func (c *conn) closeIfIdle(now time.Time) {
	in := c.phase.Load()
	waits := in == idle || in == fresh && now.Sub(time.Unix(0, c.since.Load())) >= c.s.fresh
	if waits && c.phase.CompareAndSwap(in, closed) {
		c.net.Close()
	}
}

// closeIfLate ends a connection that waits for too long.
func (c *conn) closeIfLate(now time.Time) {
	waits := now.Sub(time.Unix(0, c.since.Load()))
	in := c.phase.Load()
	late := (in == idle || in == fresh) && c.s.cfg.IdleTimeout > 0 && waits >= c.s.cfg.IdleTimeout ||
		in == inHead && c.s.cfg.HeaderTimeout > 0 && waits >= c.s.cfg.HeaderTimeout
	if late && c.phase.CompareAndSwap(in, closed) {
		c.net.Close()
	}
}

// serve answers one request after another.
func (c *conn) serve() {
	defer c.s.drop(c)
	if !c.shake() {
		c.close()
		return
	}
	for {
		switch c.next() {
		case theirs:
			c.handOver()
			return
		case gone:
			c.close()
			return
		}
		if !c.answer() {
			c.close()
			return
		}
		if !c.enter(idle) {
			c.close()
			return
		}
		c.least = 4 // as in net/http
		c.s.tell(c.net, http.StateIdle)
		if c.s.closing.Load() { // its end looked for idle ones before this was one
			c.closeIfIdle(time.Now())
		}
	}
}

func (c *conn) close() {
	c.phase.Store(closed)
	c.net.Close()
	c.s.tell(c.net, http.StateClosed)
}

// handOver lets net/http go on with the connection.
func (c *conn) handOver() {
	if !c.enter(closed) || !c.s.handed.deliver(&handedConn{c.net, bytes.Clone(c.in[c.start:c.end])}) {
		c.close()
	}
}

// What comes next on a connection.
type what int

const (
	ours what = iota
	theirs
	gone
)

// next reads the head of the next request.
func (c *conn) next() what {
	if c.start > 0 {
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
	}
	for looked := 0; ; {
		if c.end >= c.least {
			c.skipLineEnds()
			have := c.in[:c.end]
			from := max(0, looked-3)
			if n := bytes.Index(have[from:], []byte("\r\n\r\n")); n >= 0 {
				return c.parse(have[:from+n+4])
			}
			if !mayBeOurs(have) || len(have) == len(c.in) || hasBareLineEnd(have) {
				return theirs
			}
			looked = len(have)
		}
		if c.end > 0 && c.phase.Load() != inHead && !c.enter(inHead) {
			return gone
		}
		n, err := c.net.Read(c.in[c.end:])
		c.end += n
		switch {
		case n > 0 || err == nil:
		case c.end >= c.least && c.end > 0:
			return theirs // net/http answers a cut request
		default:
			return gone
		}
	}
}

// skipLineEnds passes over what some clients send behind a body, RFC 9112, section 2.2. Like net/http
// it looks at four bytes.
func (c *conn) skipLineEnds() {
	n := 0
	for n < c.least && (c.in[n] == '\r' || c.in[n] == '\n') {
		n++
	}
	c.end = copy(c.in, c.in[n:c.end])
	c.least = 0
}

func (c *conn) parse(head []byte) what {
	size, ok := c.request.parse(head)
	if !ok {
		return theirs
	}
	c.start = len(head)
	c.body.begin(size)
	return ours
}

// answer lets the handler answer the request. It reports whether the
// connection may go on.
func (c *conn) answer() bool {
	if !c.enter(active) {
		return false
	}
	c.s.tell(c.net, http.StateActive)
	ctx, cancel := context.WithCancel(c.s.cfg.Base)
	defer cancel()
	r := c.request.forHandler(ctx, &c.body)
	c.response.begin(c.request.last)
	c.lookout.begin(cancel)
	c.body.watchIfWhole()
	if !c.handle(r) {
		c.lookout.end()
		return false
	}
	ahead, n := c.lookout.end()
	keep := c.response.finish()
	if !keep || !c.body.finish() {
		c.linger()
		return false
	}
	if c.response.timed {
		c.net.SetReadDeadline(time.Time{})
	}
	c.keepAhead(ahead, n)
	return true
}

// keepAhead keeps what the lookout has read: the next request has begun.
func (c *conn) keepAhead(ahead byte, n int) {
	if n == 0 {
		return
	}
	if c.start > 0 {
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
	}
	c.in[c.end] = ahead // the head was longer than this byte, so there is room
	c.end++
}

// handle calls the handler, and reports false when it panicked.
func (c *conn) handle(r *http.Request) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			ok = false
			if v != http.ErrAbortHandler {
				c.s.logf("http1: a panic was caught, serving %v: %v\n%s", c.request.remote, v, debug.Stack())
			}
		}
	}()
	c.s.cfg.Handler.ServeHTTP(&c.response, r)
	return true
}

// linger lets the client read an answer that came before its body was read.
func (c *conn) linger() {
	half, ok := c.net.(interface{ CloseWrite() error })
	if c.body.left == 0 || !ok || half.CloseWrite() != nil {
		return
	}
	c.net.SetReadDeadline(time.Now().Add(lingering))
	io.Copy(io.Discard, c.net)
}
