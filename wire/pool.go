package wire

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// maxPool bounds the connections of one server that wait for a first use.
	maxPool = 1024
	// idleDialled is how long a dialled-home connection may be idle. It is
	// below the minute after which common reverse proxies cut, and below the
	// idleTimeout of the server at the other end.
	idleDialled = 45 * time.Second
	// waitForConn is how long a request waits for a server to dial.
	waitForConn = 10 * time.Second
)

// A pool holds the connections that one server has dialled. Those that were
// never used wait here; once taken, they are in the care of a Client, but the
// pool still knows them, so that it can close all.
type pool struct {
	now   func() time.Time
	ready chan *pooledConn // oldest first
	gone  chan struct{}    // closed with the pool

	mu     sync.Mutex
	closed bool
	open   map[*pooledConn]struct{}
	empty  time.Time     // since when open is empty
	unused chan struct{} // not nil: somebody waits until open is empty; then it is closed
	told   bool          // unused is closed
}

// A pooledConn tells its pool when it is closed.
type pooledConn struct {
	net.Conn
	pool  *pool
	since time.Time
}

func newPool(now func() time.Time) *pool {
	return &pool{
		now: now, ready: make(chan *pooledConn, maxPool), gone: make(chan struct{}),
		open: map[*pooledConn]struct{}{}, empty: now(),
	}
}

// put adds a connection, or closes it where there are too many.
func (p *pool) put(conn net.Conn) {
	c := &pooledConn{Conn: conn, pool: p, since: p.now()}
	p.mu.Lock()
	closed := p.closed || p.unused != nil
	if !closed {
		p.open[c] = struct{}{}
	}
	p.mu.Unlock()
	if closed || !p.offer(c) {
		c.Close()
	}
}

// hold takes a connection that is in use already, so that close closes it too. It does
// not wait for a first use here.
func (p *pool) hold(conn net.Conn) (net.Conn, error) {
	c := &pooledConn{Conn: conn, pool: p, since: p.now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return nil, function.Errorf(function.CodeUnreachable, "the server has left")
	}
	p.open[c] = struct{}{}
	return c, nil
}

func (p *pool) offer(c *pooledConn) bool {
	select {
	case p.ready <- c:
		return true
	default:
		return false
	}
}

// take returns a connection that is alive as far as can be seen, and waits for
// one if need be. Its error means that no connection could be made.
func (p *pool) take(ctx context.Context) (net.Conn, error) {
	timeout := time.NewTimer(waitForConn)
	defer timeout.Stop()
	for {
		select {
		case c := <-p.ready:
			if p.good(c) {
				return c, nil
			}
			c.Close()
		case <-p.gone:
			return nil, function.Errorf(function.CodeUnreachable, "the server has left")
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return nil, function.Errorf(function.CodeUnreachable, "the server did not dial within %v", waitForConn)
		}
	}
}

// good reports whether a waiting connection may still be used. Whatever can be
// read from it is its end, because the server does not speak first.
func (p *pool) good(c *pooledConn) bool {
	return p.now().Sub(c.since) < idleDialled && !readable(c.Conn)
}

// sweep closes the waiting connections that are good no more.
func (p *pool) sweep() {
	for range len(p.ready) {
		select {
		case c := <-p.ready:
			if !p.good(c) || !p.offer(c) {
				c.Close()
			}
		default:
			return
		}
	}
}

// emptyFor returns how long there has been no connection at all.
func (p *pool) emptyFor() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) > 0 {
		return 0
	}
	return p.now().Sub(p.empty)
}

// retire closes the connections that wait for a first use, and waits until those
// in use are closed by their users, at most for patience or until ctx ends.
func (p *pool) retire(ctx context.Context, patience time.Duration) {
	p.mu.Lock()
	unused := make(chan struct{})
	p.unused = unused
	p.mu.Unlock()
	p.dropReady()
	p.mu.Lock()
	p.tellUnused()
	p.mu.Unlock()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-unused:
	case <-timeout.C:
	case <-ctx.Done():
	}
}

func (p *pool) dropReady() {
	for {
		select {
		case c := <-p.ready:
			c.Close()
		default:
			return
		}
	}
}

// tellUnused tells who waits that no connection is left. mu is held.
func (p *pool) tellUnused() {
	if p.unused != nil && len(p.open) == 0 && !p.told {
		p.told = true
		close(p.unused)
	}
}

// close closes all connections, also those in use.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.gone)
	open := p.open
	p.open = nil
	p.mu.Unlock()
	for c := range open {
		c.Conn.Close()
	}
}

// Close closes the connection, and tells the pool.
func (c *pooledConn) Close() error {
	c.pool.mu.Lock()
	if _, known := c.pool.open[c]; known {
		delete(c.pool.open, c)
		if len(c.pool.open) == 0 {
			c.pool.empty = c.pool.now()
		}
		c.pool.tellUnused()
	}
	c.pool.mu.Unlock()
	return c.Conn.Close()
}
