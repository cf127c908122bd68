package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// exchange sends raw on a connection of its own and returns what came back, in words.
// The date is left out.
func exchange(tb testing.TB, addr string, raw []byte) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		conn.Write(raw)
		conn.(*net.TCPConn).CloseWrite()
	}()
	var words bytes.Buffer
	for in := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				fmt.Fprintln(&words, "cut")
			}
			return words.String()
		}
		body, err := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		fmt.Fprintf(&words, "%s %d %q %v %v %v\n", resp.Status, resp.ContentLength, body, err != nil, resp.Close, resp.Header)
	}
}

// both starts our server and net/http's, with the same handler.
func both(tb testing.TB) (ours, theirs string) {
	server, std := New(Config{Handler: http.HandlerFunc(dump)}), &http.Server{Handler: http.HandlerFunc(dump)}
	l1, err1 := net.Listen("tcp", "127.0.0.1:0")
	l2, err2 := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err1, err2); err != nil {
		tb.Fatal(err)
	}
	go server.Serve(l1)
	go std.Serve(l2)
	tb.Cleanup(func() {
		server.Shutdown(context.Background())
		std.Close()
	})
	return l1.Addr().String(), l2.Addr().String()
}

// requests are what a fuzzer begins with: plain ones, and all kinds of odd ones.
var requests = []string{
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run?blocking=true&result=%7B%22a%22:1%7D+x,y/~@ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run? HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run?a?b=%zz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run?a#b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /?a=%zz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x:1\r\nWhiskaway-Function: ab\r\nAccept: */*\r\nContent-Length: 2\r\n\r\n{}POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: Keep-Alive, Upgrade\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST /run HTTP/1.1\r\nHost: x\r\n Content-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nA: b\rc\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nA:\tb \t\r\ncontent-LENGTH: 002\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\n: b\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: \r\nContent-Length: 2\r\n\r\n{}",
	"POST //run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run/../b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST  /run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.2\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/2.0\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 00\r\n\r\n000", "P", "POST /run HTTP/1.1\r\nHost: x\r\nContent-Le", "POST  HTTP/1.1\r\nHost:\r\nContent-Length:0\r\n\r\n",
	"POST /run\r\n\r\n", "\r\n\r\nPOST /run HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"POST /run HTTP/1.1\r\nHost: x\r\nPragma: no-cache\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nExpect: something\r\nContent-Length: 2\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{}",
	"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
}

// Whatever comes, the answers are those of net/http.
func TestAnswersAreNetHTTPs(t *testing.T) {
	ours, theirs := both(t)
	for _, raw := range requests {
		if got, want := exchange(t, ours, []byte(raw)), exchange(t, theirs, []byte(raw)); got != want {
			t.Errorf("%q:\n%s\nnet/http answers\n%s", raw, got, want)
		}
	}
}

func FuzzAnswersAreNetHTTPs(f *testing.F) {
	for _, raw := range requests {
		f.Add([]byte(raw))
	}
	ours, theirs := both(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, want := exchange(t, ours, raw), exchange(t, theirs, raw); got != want {
			t.Errorf("%q:\n%s\nnet/http answers\n%s", raw, got, want)
		}
	})
}
