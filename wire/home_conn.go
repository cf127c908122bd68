package wire

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A homeConn is a connection that this server has dialled and serves on. It
// gives back first what was read of it together with the balancer's 101.
type homeConn struct {
	net.Conn
	early *bufio.Reader // nil: nothing
	// instance is the balancer's name of the session that it is part of.
	instance string
	state    http.ConnState // the last one that its census counted
}

func (c *homeConn) Read(p []byte) (int, error) {
	if c.early != nil {
		if c.early.Buffered() > 0 {
			return c.early.Read(p)
		}
		c.early = nil
	}
	return c.Conn.Read(p)
}

// joinDial returns what makes one connection and joins the balancer by it.
func joinDial(u *url.URL, token Token, cfg HomeConfig) func(context.Context) (*homeConn, error) {
	dial := newDial(u, token, nil)
	header := http.Header{
		"Authorization": {"Bearer " + token.Secret},
		"Connection":    {"Upgrade"},
		"Upgrade":       {upgradeProtocol},
		headerVersion:   {Version},
		headerServer:    {cfg.ServerID},
		headerName:      {url.PathEscape(cfg.Name)},
		headerSession:   {function.NewLeaseID()},
	}
	if cfg.Advertise.URL != "" {
		header[headerAdvertise] = []string{cfg.Advertise.URL}
		header[headerAdvertiseToken] = []string{cfg.Advertise.Token}
	}
	target := at(u, "/join")
	return func(ctx context.Context) (*homeConn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		defer stop()
		joined, err := upgrade(conn, &http.Request{Method: http.MethodPost, URL: target, Host: target.Host, Header: header})
		if err != nil {
			conn.Close()
			return nil, err
		}
		return joined, nil
	}
}

// upgrade sends the request and reads the balancer's answer.
func upgrade(conn net.Conn, r *http.Request) (*homeConn, error) {
	name := r.URL.Host
	conn.SetDeadline(time.Now().Add(dialTimeout))
	if err := r.Write(conn); err != nil {
		return nil, dialError(name, err)
	}
	early := bufio.NewReader(conn)
	resp, err := http.ReadResponse(early, r)
	if err != nil {
		return nil, dialError(name, err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, refusalFrom(resp, name)
	}
	conn.SetDeadline(time.Time{})
	if early.Buffered() == 0 {
		early = nil
	}
	return &homeConn{Conn: conn, early: early, instance: first(resp.Header, headerSession)}, nil
}

// A homeListener hands dialled connections to net/http.
type homeListener struct {
	conns chan *homeConn
	done  chan struct{}
	close sync.Once
}

func newHomeListener() *homeListener {
	return &homeListener{conns: make(chan *homeConn), done: make(chan struct{})}
}

// deliver gives a connection to the server, or closes it when that has ended.
func (l *homeListener) deliver(c *homeConn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

func (l *homeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *homeListener) Close() error {
	l.close.Do(func() { close(l.done) })
	return nil
}

// Addr is what net.Listener asks for; nobody can dial it.
func (l *homeListener) Addr() net.Addr { return &net.UnixAddr{Name: "dialled home", Net: "home"} }

// A census counts the connections home.
type census struct {
	changed chan struct{} // has an entry when more may be missing

	mu          sync.Mutex
	fresh, used int           // those on which no request has come yet, and the others
	none        chan struct{} // not nil: somebody waits until there is no connection; then it is closed
}

func newCensus() *census { return &census{changed: make(chan struct{}, 1)} }

func (c *census) count() (fresh, used int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fresh, c.used
}

// add counts a connection before net/http knows it.
func (c *census) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh++
}

// awaitNone waits until the balancer has closed all connections, at most for patience.
func (c *census) awaitNone(patience time.Duration) {
	c.mu.Lock()
	none := make(chan struct{})
	c.none = none
	c.tellNone()
	c.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	}
}

// tellNone tells who waits that none is left. mu is held.
func (c *census) tellNone() {
	if c.none != nil && c.fresh+c.used == 0 {
		close(c.none)
		c.none = nil
	}
}

// follow is net/http's ConnState hook. For one connection its calls never overlap.
func (c *census) follow(conn net.Conn, now http.ConnState) {
	h := conn.(*homeConn)
	begins := h.state == http.StateNew && now == http.StateActive
	ends := now == http.StateClosed || now == http.StateHijacked
	if !begins && !ends {
		return // it goes on: nothing changes
	}
	c.mu.Lock()
	switch {
	case begins:
		c.fresh--
		c.used++
	case h.state == http.StateNew:
		c.fresh--
	default:
		c.used--
	}
	h.state = now
	c.tellNone()
	wake := missing(c.fresh, c.used, 0) > 0
	c.mu.Unlock()
	if !wake {
		return
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
