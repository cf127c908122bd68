package http1

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

const plainText = "HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\nConnection: close\r\n\r\nTLS!"

// secureRig is a rig that speaks TLS. Its own listener, which is plain, is not used.
func secureRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	lender := httptest.NewTLSServer(nil) // of a certificate
	config := &tls.Config{Certificates: lender.TLS.Certificates}
	lender.Close()
	g := newRig(t, dump, append([]func(*Config){func(c *Config) { c.PlainAnswer = []byte(plainText) }}, change...)...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() {
		g.server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return g
}

func TestTLSIsServedOnBothLanes(t *testing.T) {
	g := secureRig(t)
	conn := tls.Client(g.dial(), &tls.Config{InsecureSkipVerify: true})
	in := bufio.NewReader(conn)
	for _, request := range []string{post("/a", "hello"), post("/b", "hello"), "GET /c HTTP/1.1\r\nHost: x\r\n\r\n"} {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if resp, text := read(t, in); resp.StatusCode != 200 {
			t.Errorf("%d %s", resp.StatusCode, text)
		}
	}
}

func TestPlainHTTPToTLSIsAnswered(t *testing.T) {
	g := secureRig(t)
	for _, said := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", post("/run", strings.Repeat("x", 1<<20)), "DELETE / HTTP/1.0\r\n\r\n", "PROPFIND / HTTP/1.1\r\n\r\n",
	} {
		conn := g.dial()
		io.WriteString(conn, said) // it may be answered before all is sent
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != plainText {
			t.Errorf("%.20q was answered with %q, %v", said, got, err)
		}
	}
	for _, said := range []string{"SSH-2.0-x\r\n", "\x00\x00\x00\x00\x00\x00", "ab cd ef"} {
		conn := g.dial()
		io.WriteString(conn, said)
		if got, _ := io.ReadAll(conn); strings.Contains(string(got), "HTTP") {
			t.Errorf("%q was answered with %q", said, got)
		}
	}
}

// A handshake has the time that headers have, and not that of an idle connection.
func TestHandshakesThatAreNotGoneOnWithEnd(t *testing.T) {
	g := secureRig(t, func(c *Config) { c.HeaderTimeout, c.IdleTimeout = 50*time.Millisecond, time.Hour })
	for _, said := range []string{"", "\x16\x03\x01", "\x16\x03\x01\x40\x00" + strings.Repeat("\x01", 100)} {
		conn := g.dial()
		io.WriteString(conn, said)
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q keeps its connection", said)
		}
	}
}
