package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A sink is a log that a test can read.
type sink struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// A rig is a server on loopback.
type rig struct {
	t      *testing.T
	server *Server
	addr   string
	log    *sink
}

func newRig(t *testing.T, handler http.HandlerFunc, change ...func(*Config)) *rig {
	t.Helper()
	g := &rig{t: t, log: &sink{}}
	cfg := Config{Handler: handler, ErrorLog: log.New(g.log, "", 0)}
	for _, c := range change {
		c(&cfg)
	}
	g.server = New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(l) }()
	t.Cleanup(func() {
		g.server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
		g.server.Wait()
	})
	return g
}

func (g *rig) dial() net.Conn {
	g.t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// post is a request of ours.
func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// read reads one answer.
func read(t *testing.T, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("the answer is cut: %v", err)
	}
	return resp, string(text)
}

// dump answers with all that a handler is told.
func dump(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s %s %d %v %x %v\n", r.Method, r.URL, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.Close, sha256.Sum256(text), err)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, b.String())
}

// sum is what dump says of a body.
func sum(body string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(body))) }

func TestRequestsFollowEachOtherOnOneConnection(t *testing.T) {
	g := newRig(t, dump)
	conn := g.dial()
	in := bufio.NewReader(conn)
	for i := range 50 {
		body := strings.Repeat("x", i*997)
		io.WriteString(conn, post(fmt.Sprint("/", i), body))
		resp, text := read(t, in)
		if resp.StatusCode != 200 || resp.ContentLength != int64(len(text)) || resp.Header.Get("Date") == "" || !strings.Contains(text, sum(body)) {
			t.Fatalf("request %d: %v %.200s", i, resp, text)
		}
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	slow := make(chan struct{})
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/0" {
			<-slow
		}
		dump(w, r)
	})
	conn := g.dial()
	var all strings.Builder
	for i := range 20 {
		all.WriteString(post(fmt.Sprint("/", i), strings.Repeat("y", i)))
	}
	io.WriteString(conn, all.String()[:100]) // the first one, and a part of the second
	time.AfterFunc(5*watchAfter, func() {    // the lookout has read ahead, or it has not: both are right
		io.WriteString(conn, all.String()[100:])
		close(slow)
	})
	in := bufio.NewReader(conn)
	for i := range 20 {
		if resp, text := read(t, in); resp.StatusCode != 200 || !strings.HasPrefix(text, fmt.Sprintf("POST /%d ", i)) {
			t.Fatalf("answer %d: %d %s", i, resp.StatusCode, text)
		}
	}
}

// What is not ours is answered by net/http on the same connection.
func TestOthersAreNetHTTPs(t *testing.T) {
	g := newRig(t, dump)
	long := "POST / HTTP/1.1\r\nHost: x\r\nLong: " + strings.Repeat("l", 2*inSize) + "\r\nContent-Length: 1\r\n\r\nz"
	for name, c := range map[string]struct{ raw, want string }{
		"GET":             {"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a?b=c"},
		"query":           {"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz", "POST /a?b=c"},
		"chunks":          {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", sum("ab")},
		"old":             {"POST /a HTTP/1.0\r\nHost: x\r\nContent-Length: 1\r\n\r\nz", sum("z")},
		"no length":       {"POST /a HTTP/1.1\r\nHost: x\r\n\r\n", "POST /a"},
		"two values":      {"POST /a HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nContent-Length: 0\r\n\r\n", `A: ["1" "2"]`},
		"a long head":     {long, sum("z")},
		"bare line ends":  {"POST /a HTTP/1.1\nHost: x\nContent-Length: 1\n\nz", sum("z")},
		"a percent sign":  {"POST /a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz", "/a%20b"},
		"a method of two": {"POSTS /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz", "POSTS /a"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := g.dial()
			in := bufio.NewReader(conn)
			io.WriteString(conn, post("/before", "b"))
			read(t, in)
			io.WriteString(conn, c.raw)
			if resp, text := read(t, in); resp.StatusCode != 200 || !strings.Contains(text, c.want) {
				t.Errorf("%d %s", resp.StatusCode, text)
			}
		})
	}
}

// A client that is still writing reads net/http's refusal to its end.
func TestHeadersAboveTheLimitAreRefused(t *testing.T) {
	g := newRig(t, dump)
	conn := g.dial()
	go io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 2<<20)+"\r\n\r\n")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 431") {
		t.Errorf("%.100q %v", text, err)
	}
}

func TestContinueIsSaidBeforeTheBody(t *testing.T) {
	g := newRig(t, dump)
	conn := g.dial()
	in := bufio.NewReader(conn)
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q %v", line, err)
	}
	in.ReadString('\n')
	io.WriteString(conn, "z")
	if resp, text := read(t, in); resp.StatusCode != 200 || !strings.Contains(text, sum("z")) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

func TestConnectionsChangeHands(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if beneath, ok := conn.(interface{ NetConn() net.Conn }); !ok || beneath.NetConn() == nil {
			t.Errorf("what is beneath %T cannot be seen", conn)
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: it\r\nConnection: Upgrade\r\n\r\nhello")
	})
	conn := g.dial()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: it\r\nContent-Length: 0\r\n\r\n")
	if text, _ := io.ReadAll(conn); !strings.HasSuffix(string(text), "hello") {
		t.Errorf("%q", text)
	}
}

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

func TestContextGoesOnWhileTheClientWaits(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			io.WriteString(w, "ended")
		case <-time.After(4 * watchAfter):
			io.WriteString(w, "went on")
		}
	})
	conn := g.dial()
	in := bufio.NewReader(conn)
	for range 5 {
		io.WriteString(conn, post("/", "x"))
		if _, text := read(t, in); text != "went on" {
			t.Fatal(text)
		}
	}
}

func TestAnswersOfAllSizes(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		length  int64 // -1: in chunks
		want    string
	}{
		"nothing":   {func(http.ResponseWriter, *http.Request) {}, 0, ""},
		"a status":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) }, 0, ""},
		"short":     {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a"); io.WriteString(w, "b") }, 2, "ab"},
		"undefined": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("c", 5000)) }, -1, strings.Repeat("c", 5000)},
		"huge": {func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				io.WriteString(w, strings.Repeat("d", 50_000))
				io.WriteString(w, "e")
			}
		}, -1, strings.Repeat(strings.Repeat("d", 50_000)+"e", 100)},
		"declared": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, strings.Repeat("f", 60_000))
			io.WriteString(w, strings.Repeat("f", 40_000))
		}, 100_000, strings.Repeat("f", 100_000)},
		"flushed": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "g")
			w.(http.Flusher).Flush()
			io.WriteString(w, "h")
		}, -1, "gh"},
		"declared and flushed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			w.(http.Flusher).Flush()
			io.WriteString(w, "i")
			w.(http.Flusher).Flush()
			io.WriteString(w, "j")
		}, 2, "ij"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, c.handler)
			conn := g.dial()
			in := bufio.NewReader(conn)
			for range 3 {
				io.WriteString(conn, post("/", "x"))
				resp, text := read(t, in)
				if resp.ContentLength != c.length || text != c.want {
					t.Fatalf("%d bytes, %d announced; want %d, %d", len(text), resp.ContentLength, len(c.want), c.length)
				}
			}
		})
	}
}

func TestAnswerWithoutABody(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrBodyNotAllowed) {
			t.Error(err)
		}
	})
	conn := g.dial()
	in := bufio.NewReader(conn)
	for range 2 {
		io.WriteString(conn, post("/", "x"))
		if resp, text := read(t, in); resp.StatusCode != 204 || text != "" || resp.Header.Get("Content-Length") != "" {
			t.Errorf("%v %q", resp, text)
		}
	}
}

func TestFlushedBytesAreThereAtOnce(t *testing.T) {
	seen := make(chan struct{})
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "first")
		http.NewResponseController(w).Flush()
		<-seen
		io.WriteString(w, "second")
	})
	conn := g.dial()
	io.WriteString(conn, post("/", ""))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != "first" {
		t.Fatalf("%q %v", part, err)
	}
	close(seen)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "second" {
		t.Errorf("%q %v", rest, err)
	}
}

func TestTrailersFollowTheBody(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "body")
		w.Header().Set(http.TrailerPrefix+"Server-Timing", "a;dur=1")
	})
	conn := g.dial()
	in := bufio.NewReader(conn)
	for range 2 {
		io.WriteString(conn, post("/", ""))
		if resp, text := read(t, in); text != "body" || resp.Trailer.Get("Server-Timing") != "a;dur=1" {
			t.Errorf("%q %v", text, resp.Trailer)
		}
	}
}

// An answer that is shorter than was declared must not pass for a whole one.
func TestShortAnswerEndsTheConnection(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "short")
		if _, err := io.WriteString(w, "much too long"); !errors.Is(err, http.ErrContentLength) {
			t.Error(err)
		}
	})
	conn := g.dial()
	io.WriteString(conn, post("/", ""))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q %v", text, err)
	}
}

func TestPanicEndsOnlyItsConnection(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("told you")
		case "/abort":
			panic(http.ErrAbortHandler)
		}
	})
	for _, path := range []string{"/panic", "/abort"} {
		conn := g.dial()
		io.WriteString(conn, post(path, ""))
		if text, err := io.ReadAll(conn); err != nil || len(text) > 0 {
			t.Errorf("%s: %q %v", path, text, err)
		}
	}
	conn := g.dial()
	io.WriteString(conn, post("/", ""))
	if resp, _ := read(t, bufio.NewReader(conn)); resp.StatusCode != 200 {
		t.Error(resp)
	}
	if text := g.log.String(); strings.Count(text, "a panic was caught") != 1 || !strings.Contains(text, "told you") {
		t.Errorf("the log says %q", text)
	}
}

// Who does not read a body: a short rest is read for it, after a long one the connection
// ends, and the answer arrives all the same.
func TestUnreadBodies(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "enough") })
	for _, c := range []struct {
		size int
		last bool
	}{{10, false}, {maxUnread, false}, {4 << 20, true}} {
		conn := g.dial()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			io.WriteString(conn, post("/", strings.Repeat("x", c.size)))
		}()
		in := bufio.NewReader(conn)
		resp, text := read(t, in)
		if text != "enough" || resp.Close != c.last {
			t.Errorf("%d bytes: %q, close %v", c.size, text, resp.Close)
		}
		if !c.last {
			<-sent
			io.WriteString(conn, post("/", ""))
			read(t, in)
			continue
		}
		conn.Close()
		<-sent
	}
}

// Who announces a body that nobody reads, and does not send it, holds its connection for a moment only.
func TestUnreadBodyThatDoesNotCome(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "enough") })
	conn := g.dial()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	in := bufio.NewReader(conn)
	if _, text := read(t, in); text != "enough" {
		t.Errorf("%q", text)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("the connection: %v, want its end", err)
	}
}

func TestCutBodyIsAnError(t *testing.T) {
	failed := make(chan error, 1)
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- err
	})
	conn := g.dial()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfive5")
	conn.(*net.TCPConn).CloseWrite()
	if err := <-failed; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestCloseIsHonoured(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mine" {
			w.Header().Set("Connection", "close")
		}
	})
	for _, raw := range []string{
		"POST /yours HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"POST /mine HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	} {
		conn := g.dial()
		io.WriteString(conn, raw)
		in := bufio.NewReader(conn)
		if resp, _ := read(t, in); !resp.Close {
			t.Errorf("%v", resp.Header)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Error(err)
		}
	}
}

func TestHeadersCannotBeSplit(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("A", "b\r\nEvil: yes") })
	conn := g.dial()
	io.WriteString(conn, post("/", ""))
	if resp, _ := read(t, bufio.NewReader(conn)); resp.Header.Get("Evil") != "" || resp.Header.Get("A") != "b  Evil: yes" {
		t.Errorf("%v", resp.Header)
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

func TestShutdownLetsAnswersLeave(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			return
		}
		close(began)
		<-goOn
		io.WriteString(w, "whole")
	})
	idle, busy := g.dial(), g.dial()
	io.WriteString(idle, post("/first", ""))
	read(t, bufio.NewReader(idle))
	io.WriteString(busy, post("/", ""))
	<-began
	ended := make(chan error, 1)
	go func() { ended <- g.server.Shutdown(t.Context()) }()
	if text, err := io.ReadAll(idle); err != nil || len(text) > 0 {
		t.Errorf("the idle connection: %q %v", text, err)
	}
	select {
	case err := <-ended:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(goOn)
	if resp, text := read(t, bufio.NewReader(busy)); text != "whole" || !resp.Close {
		t.Errorf("%q %v", text, resp.Close)
	}
	if err := <-ended; err != nil {
		t.Error(err)
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
