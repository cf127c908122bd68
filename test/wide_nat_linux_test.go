package test

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"
)

// A server at home: behind a router that translates addresses and lets no
// connection in. It serves, its logs stream, and it hears of a cancellation.
func TestServerBehindNATServes(t *testing.T) {
	t.Parallel()
	w, b := newWideStage(t)
	home, err := w.net.HostBehindNAT("home")
	if err != nil {
		t.Skip(err)
	}
	s := w.newServer(home, b)
	noWayIn(t, w, s)

	c := w.client("f", many)
	c.mustRun()
	logsStream(t, w, c)
	callerLeaves(t, w, c)
	c.mustRun()
	for _, a := range c.atOnce(16, `{"sleep":0.02}`, 0)() {
		if !a.ok(t) {
			t.Error(a)
		}
	}
	w.audit(c)
}

// noWayIn shows that the wall is there: what listens at the server's host is reached
// from there and from nowhere else.
func noWayIn(t *testing.T, w *wideStage, s *wideServer) {
	t.Helper()
	l, err := s.host.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for address, open := range map[string]bool{"127.0.0.1": true, s.host.IP: false} {
		from := s.host.DialContext
		if !open {
			from = w.dial
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		c, err := from(ctx, "tcp", net.JoinHostPort(address, port))
		cancel()
		if err == nil {
			c.Close()
		}
		if (err == nil) != open {
			t.Errorf("a dial to %s: %v", address, err)
		}
	}
}

// logsStream shows that a run's logs come before it ends: only after they have come
// it is let to.
func logsStream(t *testing.T, w *wideStage, c *client) {
	t.Helper()
	before := len(c.Stdout.Bytes())
	ended := c.atOnce(1, `{"wait":"logged"}`, 0)
	if !c.Stdout.Wait(c.ended, func(all []byte) bool { return bytes.Contains(all[before:], []byte("ran run")) }) {
		t.Error("no log came while the function ran")
	}
	w.let("logged")
	if a := ended()[0]; !a.ok(t) {
		t.Error(a)
	}
}

// callerLeaves shows that a function's own process hears that its caller has left.
func callerLeaves(t *testing.T, w *wideStage, c *client) {
	t.Helper()
	started := len(w.notes("ran"))
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan answered, 1)
	go func() { left <- c.run(ctx, `{"wait":"never"}`, 0) }()
	w.started(started + 1)
	leave()
	a := <-left
	eventually(t, "the function notices", func() bool { return len(w.notes("cut")) == 1 })
	if got := w.notes("cut")[0]; got != a.id {
		t.Errorf("cut was %s, not %s", got, a.id)
	}
}
