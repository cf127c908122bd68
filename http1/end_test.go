package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The context ends when the client hangs up, also long after the request.
func TestHangingUpEndsTheContext(t *testing.T) {
	for name, body := range map[string]string{"small": "x", "none": "", "large": strings.Repeat("x", 10*inSize)} {
		t.Run(name, func(t *testing.T) {
			began, ended := make(chan struct{}), make(chan error, 1)
			g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				close(began)
				select {
				case <-r.Context().Done():
					ended <- nil
				case <-time.After(20 * time.Second):
					ended <- errors.New("the context goes on")
				}
			})
			conn := g.dial()
			io.WriteString(conn, post("/", body))
			<-began
			conn.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestIdleAndSlowConnectionsEnd(t *testing.T) {
	g := newRig(t, dump, func(c *Config) { c.IdleTimeout, c.HeaderTimeout = 50*time.Millisecond, 50*time.Millisecond })
	for name, said := range map[string]string{"silent": "", "idle": post("/", ""), "slow": "POST / HT", "slow, the second": post("/", "") + "POST"} {
		conn := g.dial()
		io.WriteString(conn, said)
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A connection that was accepted just before the end has its first request answered. One
// on which none comes is closed.
func TestShutdownLetsNewConnectionsAsk(t *testing.T) {
	for _, asks := range []bool{true, false} {
		accepted := make(chan struct{}, 1)
		g := newRig(t, dump, func(c *Config) {
			c.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					accepted <- struct{}{}
				}
			}
		})
		if g.server.fresh = time.Hour; !asks {
			g.server.fresh = time.Millisecond
		}
		conn := g.dial()
		<-accepted
		ended := make(chan error, 1)
		go func() { ended <- g.server.Shutdown(t.Context()) }()
		<-g.server.stop
		g.server.end() // so the idle ones are closed
		if asks {
			io.WriteString(conn, post("/", "late"))
			if resp, text := read(t, bufio.NewReader(conn)); resp.StatusCode != 200 || !resp.Close || !strings.Contains(text, sum("late")) {
				t.Errorf("%d, close %v: %s", resp.StatusCode, resp.Close, text)
			}
		} else if text, err := io.ReadAll(conn); err != nil || len(text) > 0 {
			t.Errorf("the silent connection: %q %v", text, err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	began := make(chan struct{})
	g := newRig(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done() // Close cuts the connection
	})
	conn := g.dial()
	io.WriteString(conn, post("/", ""))
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestConnStateIsToldInOrder(t *testing.T) {
	var mu sync.Mutex
	told := map[string][]http.ConnState{}
	closed := make(chan struct{}, 8)
	g := newRig(t, dump, func(c *Config) {
		c.ConnState = func(nc net.Conn, s http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			key := nc.RemoteAddr().String()
			told[key] = append(told[key], s)
			if s == http.StateClosed {
				closed <- struct{}{}
			}
		}
	})
	for _, c := range []struct {
		raw  []string
		want []http.ConnState
	}{
		{nil, []http.ConnState{http.StateNew, http.StateClosed}},
		{[]string{post("/", "")}, []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateClosed}},
		{[]string{post("/", ""), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
			[]http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateIdle, http.StateClosed}},
	} {
		conn := g.dial()
		in := bufio.NewReader(conn)
		for _, raw := range c.raw {
			io.WriteString(conn, raw)
			read(t, in)
		}
		conn.(*net.TCPConn).CloseWrite()
		<-closed
		mu.Lock()
		if got := told[conn.LocalAddr().String()]; !slices.Equal(got, c.want) {
			t.Errorf("%d requests: %v, want %v", len(c.raw), got, c.want)
		}
		mu.Unlock()
	}
}
