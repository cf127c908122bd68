package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// These tests run in a bubble whose clock jumps, with pipes for sockets.

func pipeClient(t *testing.T, serve func(conn net.Conn)) *Client {
	t.Helper()
	c, err := NewClient(ClientConfig{URL: "http://127.0.0.1:1", DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go serve(far)
		return near, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWatchEndsWhenTheHostIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t, func(conn net.Conn) {
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n{}\n")
			time.Sleep(9 * time.Second)
			io.WriteString(conn, "{}\n")
			io.Copy(io.Discard, conn) // until the client hangs up
			conn.Close()
		})
		defer c.Close()
		begin, seen := time.Now(), 0
		err := c.Watch(t.Context(), func(function.Status) error { seen++; return nil })
		if function.CodeOf(err) != function.CodeUnreachable || !strings.Contains(err.Error(), "said nothing for 10s") {
			t.Error(err)
		}
		if took := time.Since(begin); took != 19*time.Second || seen != 2 {
			t.Errorf("%d statuses, and it ended after %v", seen, took)
		}
	})
}

func TestHostThatNeverEndsARunIsLostAfterItsTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t, func(conn net.Conn) {
			io.Copy(io.Discard, conn)
			conn.Close()
		})
		defer c.Close()
		act := activation("{}")
		act.Timeout = time.Minute
		begin := time.Now()
		sum, err := c.Run(t.Context(), function.ID{}, testClaim, act, &recorder{})
		if err != nil || sum.Outcome != function.OutcomeLost || time.Since(begin) != time.Minute+grace+slack {
			t.Errorf("%+v, %v, after %v", sum, err, time.Since(begin))
		}
	})
}

// The time that a run waits for a connection is part of its limit.
func TestRunThatWaitedForAConnectionHasLessTime(t *testing.T) {
	for took, want := range map[time.Duration]string{0: "10000", 9200 * time.Millisecond: "00800", 10 * time.Second: ""} {
		synctest.Test(t, func(t *testing.T) {
			asked := make(chan string, 1)
			c, err := NewClient(ClientConfig{URL: "http://127.0.0.1:1", DialContext: func(context.Context, string, string) (net.Conn, error) {
				time.Sleep(took)
				near, far := net.Pipe()
				go func() {
					defer far.Close()
					if r, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
						asked <- r.Header.Get(headerTimeout)
					}
				}()
				return near, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			act := activation("{}")
			act.Timeout = 10 * time.Second
			sum, err := c.Run(t.Context(), function.ID{}, testClaim, act, &recorder{})
			if want == "" {
				if function.CodeOf(err) != function.CodeTimeout || len(asked) != 0 {
					t.Errorf("after its time: %+v, %v", sum, err)
				}
				return
			}
			if got := <-asked; err != nil || got != want {
				t.Errorf("after %v it was sent with %q, want %q (%v)", took, got, want, err)
			}
		})
	}
}

// flushes is a ResponseWriter that keeps what was flushed, and when.
type flushes struct {
	header  http.Header
	begin   time.Time
	pending int
	at      []time.Duration
	bytes   []int
}

func (f *flushes) Header() http.Header { return f.header }
func (f *flushes) WriteHeader(int)     {}
func (f *flushes) Write(p []byte) (int, error) {
	f.pending += len(p)
	return len(p), nil
}
func (f *flushes) Flush() {
	f.at = append(f.at, time.Since(f.begin))
	f.bytes = append(f.bytes, f.pending)
	f.pending = 0
}

func TestWhenAnAnswerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := answerPool{unread: unread}
		w := &flushes{header: http.Header{}, begin: time.Now()}
		a := pool.get(w, []string{typeFrames})
		a.Write(function.Stdout, []byte("early"))
		time.Sleep(time.Second) // leaves after 100 ms
		a.Write(function.Stdout, []byte("a"))
		a.Write(function.Stdout, []byte("b")) // gathered with the one before
		time.Sleep(20 * time.Second)          // leave after 10 ms, then a heartbeat
		if err := a.end(function.Summary{}, errors.New("late")); err != nil {
			t.Error(err)
		}
		pool.put(a)
		time.Sleep(time.Minute) // nothing comes after the end
		want := []time.Duration{firstFlush, time.Second + gather, time.Second + gather + heartbeat}
		if len(w.at) != 3 || w.at[0] != want[0] || w.at[1] != want[1] || w.at[2] != want[2] {
			t.Errorf("flushed at %v, want %v", w.at, want)
		}
		if len(w.bytes) == 3 && (w.bytes[0] != 13 || w.bytes[1] != 18 || w.bytes[2] != 8) {
			t.Errorf("flushed %v bytes", w.bytes)
		}
		if w.pending == 0 {
			t.Error("the end was not written")
		}
	})
}

func TestSessionEndsWhenItsServerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		m := newMembers(func(ctx context.Context, _ Joining) error {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil
		}, orDiscard(nil))
		near, far := net.Pipe()
		s, err := m.admit(joinRequest{serverID: "1", name: "n", session: "s"})
		if err != nil {
			t.Fatal(err)
		}
		s.pool.put(near)
		begin := time.Now()
		// Nobody uses the connection: it is closed when it grows old, and no
		// other comes.
		if err := <-ended; !errors.Is(err, errGone) {
			t.Error(err)
		}
		if took := time.Since(begin); took < idleDialled+goneAfter || took > idleDialled+goneAfter+2*tendEvery {
			t.Errorf("it took %v", took)
		}
		far.Close()
		m.close()
	})
}

// A line that passes nothing on any more, and no end either, does not keep a
// server away for ever: connections that were never used are dialled anew.
func TestServerDialsAnewWhenItsConnectionsAreNeverUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var far []net.Conn
		dials := make(chan struct{}, 1000)
		h := &home{cfg: HomeConfig{}, log: orDiscard(nil), listener: newHomeListener(), conns: newCensus(), away: true}
		h.dial = func(context.Context) (*homeConn, error) {
			near, other := net.Pipe()
			dials <- struct{}{}
			h.conns.mu.Lock()
			far = append(far, other)
			h.conns.mu.Unlock()
			return &homeConn{Conn: near, instance: "i"}, nil
		}
		ctx, end := context.WithCancel(t.Context())
		handler := NewHandler(HandlerConfig{})
		var all sync.WaitGroup
		all.Go(func() { h.server(handler).Serve(ctx, h.listener) })
		all.Go(func() { h.keep(ctx) })
		time.Sleep(idleDialled)
		synctest.Wait()
		if n := len(dials); n != spareConns {
			t.Errorf("%d dials at first, want %d", n, spareConns)
		}
		time.Sleep(unusedHome - idleDialled + 20*time.Second)
		synctest.Wait()
		if n := len(dials); n != 2*spareConns {
			t.Errorf("%d dials later, want %d", n, 2*spareConns)
		}
		end()
		for _, conn := range far {
			conn.Close()
		}
		all.Wait()
		handler.Close()
	})
}

// Who does not end within the grace is told why, and may still answer.
func TestRequestIsToldOfTheEndBeforeItIsCut(t *testing.T) {
	noLeaks(t)
	begun, ctx := make(chan struct{}), context.Background()
	ctx, end := context.WithCancel(ctx)
	defer end()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server{Grace: time.Millisecond, Last: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		io.WriteString(w, context.Cause(r.Context()).Error())
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	within(t, begun, "the request comes")
	end()
	if got := within(t, answer, "the answer"); !strings.Contains(got, "told to stop") {
		t.Errorf("it was told %q", got)
	}
	if err := within(t, served, "the server's end"); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestPoolDropsConnectionsThatDied(t *testing.T) {
	noLeaks(t)
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pair := func() (near, far net.Conn) {
		near, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err = ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return near, far
	}
	p := newPool(time.Now)
	defer p.close()
	dead, deadFar := pair()
	alive, aliveFar := pair()
	defer aliveFar.Close()
	p.put(dead)
	p.put(alive)
	if readable(dead) || readable(alive) {
		t.Fatal("a quiet connection counts as readable")
	}
	deadFar.Close()
	for deadline := time.Now().Add(10 * time.Second); !readable(dead) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	got, err := p.take(t.Context())
	if err != nil || got.(*pooledConn).Conn != alive {
		t.Errorf("took %v, %v", got, err)
	}
}
