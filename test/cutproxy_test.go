package test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// A cutProxy passes TCP connections on to a target, and can do to them what
// networks do. Where it says up, that is from who dialled to the target.
type cutProxy struct {
	address, target string
	listener        net.Listener
	going           sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[*passage]bool
	trap   *trap
}

// A passage is one connection through the proxy.
type passage struct{ near, far *side }

// A side is one of its two directions, read from conn and written to the other.
type side struct {
	conn, other net.Conn
	up          bool
	tail        []byte // what was passed last, for a trap's text that comes in pieces

	mu   sync.Mutex
	hole bool // what comes is swallowed, and no end is passed on
}

// A trap is set off by text that passes in one direction. Then do is called,
// once, before or after the text itself is passed on.
type trap struct {
	up     bool
	text   []byte
	before bool
	do     func(p *passage)
	sprung chan struct{}
}

func startCutProxy(t *testing.T, target string) *cutProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cutProxy{address: l.Addr().String(), target: target, listener: l, conns: map[*passage]bool{}}
	p.going.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.each((*passage).cut)
		p.going.Wait()
	})
	return p
}

func (p *cutProxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.going.Go(func() { p.pass(near) })
	}
}

// pass connects near with the target until both directions have ended.
func (p *cutProxy) pass(near net.Conn) {
	far, err := net.DialTimeout("tcp", p.target, patience)
	if err != nil { // as if the target itself had refused
		reset(near)
		return
	}
	c := &passage{near: &side{conn: near, other: far, up: true}, far: &side{conn: far, other: near}}
	p.mu.Lock()
	p.conns[c] = true
	closed := p.closed
	p.mu.Unlock()
	if closed {
		c.cut()
	}
	var both sync.WaitGroup
	both.Go(func() { p.forward(c, c.near) })
	both.Go(func() { p.forward(c, c.far) })
	both.Wait()
	c.cut()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// forward passes one direction on until its end.
func (p *cutProxy) forward(c *passage, s *side) {
	b := make([]byte, 32<<10)
	for {
		n, err := s.conn.Read(b)
		if n > 0 && !p.forwardPiece(c, s, b[:n]) {
			return
		}
		if err != nil {
			s.end()
			return
		}
	}
}

// forwardPiece passes b on, up to where a trap is set off and from there on. It
// reports whether the connection goes on.
func (p *cutProxy) forwardPiece(c *passage, s *side, b []byte) bool {
	t, at := p.trapIn(s, b)
	if t == nil {
		return s.write(b)
	}
	ok := s.write(b[:at])
	t.do(c)
	close(t.sprung)
	return ok && s.write(b[at:])
}

// trapIn returns the trap that b sets off, disarmed, and where in b.
func (p *cutProxy) trapIn(s *side, b []byte) (*trap, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.trap
	if t == nil || t.up != s.up {
		return nil, 0
	}
	all := append(s.tail, b...)
	i := bytes.Index(all, t.text)
	old := len(s.tail)
	s.tail = bytes.Clone(all[max(0, len(all)-len(t.text)+1):])
	if i < 0 {
		return nil, 0
	}
	p.trap = nil
	if !t.before {
		i += len(t.text)
	}
	return t, max(0, i-old)
}

func (s *side) write(b []byte) bool {
	if s.swallows() {
		return true
	}
	_, err := s.other.Write(b)
	return err == nil
}

// end passes the end of one direction on.
func (s *side) end() {
	if !s.swallows() {
		s.other.(*net.TCPConn).CloseWrite()
	}
}

func (s *side) swallows() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hole
}

func (s *side) swallow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hole = true
}

// cut ends the connection towards both sides.
func (p *passage) cut() { p.near.conn.Close(); p.far.conn.Close() }

// reset ends it rudely.
func (p *passage) reset() { reset(p.near.conn); reset(p.far.conn) }

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// vanish swallows all that is sent from now on, in both directions. For the
// kernels the connection lives.
func (p *passage) vanish() { p.near.swallow(); p.far.swallow() }

// each does something to all connections that there are now.
func (p *cutProxy) each(do func(*passage)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		do(c)
	}
}

// set sets a trap, and returns what is closed when it was set off.
func (p *cutProxy) set(t trap) <-chan struct{} {
	t.sprung = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = &t
	return t.sprung
}

// later returns what delays a connection.
func later(d time.Duration) func(*passage) { return func(*passage) { time.Sleep(d) } }
