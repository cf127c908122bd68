package http1

import (
	"errors"
	"net"
	"net/http"
	"sync"
)

// A handedConn is a connection that net/http goes on with. It gives first what was
// read of it already.
type handedConn struct {
	net.Conn
	early []byte
}

func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil // the connection may live long
	}
	return n, nil
}

// NetConn returns the connection beneath, as crypto/tls's does.
func (c *handedConn) NetConn() net.Conn { return c.Conn }

// CloseWrite lets net/http end an answer to a request that it has not read whole.
func (c *handedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// A handedListener is where net/http gets its connections.
type handedListener struct {
	conns chan *handedConn
	done  chan struct{}
	close sync.Once
}

func newHandedListener() *handedListener {
	return &handedListener{conns: make(chan *handedConn), done: make(chan struct{})}
}

// deliver reports false when net/http takes no more.
func (l *handedListener) deliver(c *handedConn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *handedListener) Close() error {
	l.close.Do(func() { close(l.done) })
	return nil
}

// Addr is what net.Listener asks for; nobody can dial it.
func (l *handedListener) Addr() net.Addr { return &net.UnixAddr{Name: "handed over", Net: "http1"} }

// handedState follows net/http's goroutines: it makes one after StateNew, which ends
// with one of the others, or with its handler when that has hijacked.
func (s *Server) handedState(nc net.Conn, state http.ConnState) {
	h, ours := nc.(*handedConn)
	if ours {
		nc = h.Conn
	}
	switch state {
	case http.StateNew: // it was told when the connection came
		s.tasks.Add(1)
		return
	case http.StateClosed, http.StateHijacked:
		defer s.tasks.Done()
	}
	s.tell(nc, state)
}
