package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

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

// What is not ours is answered by net/http on the same connection.
func TestOthersAreNetHTTPs(t *testing.T) {
	g := newRig(t, dump)
	long := "POST / HTTP/1.1\r\nHost: x\r\nLong: " + strings.Repeat("l", 2*inSize) + "\r\nContent-Length: 1\r\n\r\nz"
	for name, c := range map[string]struct{ raw, want string }{
		"GET":             {"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a?b=c"},
		"an odd query":    {"POST /a?b=[c] HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz", "POST /a?b=[c]"},
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
