package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
