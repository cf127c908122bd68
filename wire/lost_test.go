package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// rawServer answers every connection's first request as answer says, by hand.
func rawServer(t *testing.T, answer func(conn net.Conn, r *http.Request)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err == nil {
				io.Copy(io.Discard, r.Body)
				answer(conn, r)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// wholeAnswer is what a real Handler answers to a run, byte for byte.
func wholeAnswer(t *testing.T) []byte {
	t.Helper()
	host := &fakeHost{run: func(_ context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("log\n"))
		out.Write(function.Result, []byte(`{"a":1}`))
		return function.Summary{Outcome: function.OutcomeOK}, nil
	}}
	_, addr := serveHost(t, host)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /run HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n%s: %s\r\n%s: l\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		testSecret, headerFunction, function.ID{}, headerLease)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestAlwaysTrue1AnswerCutAtEachByteIsLostAndNotRepeated(t *testing.T) {
	noLeaks(t)
	answer := wholeAnswer(t)
	cut, requests := 0, 0
	addr := rawServer(t, func(conn net.Conn, _ *http.Request) {
		requests++
		conn.Write(answer[:cut])
	})
	c := dialTo(t, addr, testSecret)
	body := bytes.Index(answer, []byte("\r\n\r\n")) + 4
	for cut = 0; cut <= len(answer); cut++ {
		var out recorder
		sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &out)
		want := function.OutcomeLost
		if cut == len(answer) {
			want = function.OutcomeOK
		}
		if err != nil || sum.Outcome != want {
			t.Fatalf("cut after %d of %d bytes: %+v, %v", cut, len(answer), sum, err)
		}
		if hasLog := len(out.frames) > 0; hasLog != (cut >= body+12) {
			t.Errorf("cut after %d bytes: frames %q", cut, out.frames)
		}
		if requests != cut+1 {
			t.Fatalf("cut after %d bytes: %d requests were sent for %d runs", cut, requests, cut+1)
		}
	}
}

// A chunked answer is cut as a whole number of frames, too: without frame 0 it
// is no end.
func TestAlwaysTrue1OnlyTheHeaderOrNoConnectionMeansNotStarted(t *testing.T) {
	noLeaks(t)
	frames := string([]byte{1, 0, 0, 0, 0, 0, 0, 2}) + "ab"
	for _, test := range []struct {
		name, answer string
		want         function.Outcome // "": an error
		code         function.Code
		words        string
	}{
		{"proxy 502", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops", function.OutcomeLost, "", "not as Whiskaway does"},
		{"proxy 504 after timeout", "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n", function.OutcomeLost, "", "504"},
		{"host 503 whole", "HTTP/1.1 503 X\r\nWhiskaway-Started: no\r\nContent-Length: 34\r\n\r\n{\"error\":\"full\",\"code\":\"draining\"}", "", function.CodeDraining, "full"},
		{"503 without the header", "HTTP/1.1 503 X\r\nContent-Length: 34\r\n\r\n{\"error\":\"full\",\"code\":\"draining\"}", function.OutcomeLost, "", "full"},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", function.OutcomeLost, "", "redirect"},
		{"no frame 0", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + frames, function.OutcomeLost, "", "cut"},
		{"no frame 0, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n" + frames + "\r\n0\r\n\r\n", function.OutcomeLost, "", "cut"},
		{"html", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n<html>welcome</html>", function.OutcomeLost, "", "frame"},
		{"bad summary", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\x00\x00\x00\x00\x00\x00\x00\x02{}", function.OutcomeLost, "", "summary"},
		{"huge frame", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\x01\x00\x00\x00\xff\xff\xff\xffab", function.OutcomeLost, "", "limit"},
		{"garbage", "SSH-2.0-OpenSSH\r\n", function.OutcomeLost, "", "lost"},
		{"nothing", "", function.OutcomeLost, "", "lost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			requests := 0
			addr := rawServer(t, func(conn net.Conn, _ *http.Request) { requests++; io.WriteString(conn, test.answer) })
			sum, err := dialTo(t, addr, testSecret).Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
			if sum.Outcome != test.want || function.CodeOf(err) != test.code {
				t.Fatalf("%+v, %v", sum, err)
			}
			if text := sum.Error + fmt.Sprint(err); !strings.Contains(text, test.words) || requests != 1 {
				t.Errorf("%d requests, %s", requests, text)
			}
		})
	}
}

func TestRefusedConnectionIsUnreachable(t *testing.T) {
	noLeaks(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // nobody listens there now
	c := dialTo(t, ln.Addr().String(), testSecret)
	_, err = c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
	if function.CodeOf(err) != function.CodeUnreachable {
		t.Errorf("Run: %v", err)
	}
	if _, err = c.Init(t.Context(), testSpec(""), function.Lease{ID: "l"}); function.CodeOf(err) != function.CodeUnreachable {
		t.Errorf("Init: %v", err)
	}
}

func TestRunThatEndsBeforeItWasSentIsAnError(t *testing.T) {
	noLeaks(t)
	dialing := make(chan struct{}, 1)
	c, err := NewClient(ClientConfig{URL: "http://127.0.0.1:1", DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialing <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-dialing; cancel() }()
	sum, err := c.Run(ctx, function.ID{}, testClaim, activation("{}"), &recorder{})
	if function.CodeOf(err) != function.CodeCancelled {
		t.Errorf("%+v, %v", sum, err)
	}
	late := activation("{}")
	late.Timeout = -time.Second
	if _, err := c.Run(t.Context(), function.ID{}, testClaim, late, &recorder{}); function.CodeOf(err) != function.CodeTimeout {
		t.Errorf("a run whose time is over: %v", err)
	}
}

// A server that closes a connection while it is idle must not cost a run: the
// next one goes to a fresh connection.
func TestIdleConnectionThatDiedCostsNoRun(t *testing.T) {
	noLeaks(t)
	answer := bytes.Replace(wholeAnswer(t), []byte("Connection: close\r\n"), nil, 1)
	addr := rawServer(t, func(conn net.Conn, _ *http.Request) { conn.Write(answer) }) // and closes
	var last net.Conn
	c, dials := countingClient(t, addr, func(conn net.Conn) net.Conn { last = conn; return conn })
	for n := range 20 {
		sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
		if err != nil || sum.Outcome != function.OutcomeOK {
			t.Fatalf("run %d: %+v, %v", n, sum, err)
		}
		if len(c.lanes.idle) > 0 { // or else its end came with the answer
			waitReadable(t, last)
		}
	}
	if dials.Load() != 20 {
		t.Errorf("%d connections for 20 runs", dials.Load())
	}
}

// What cannot be looked into (and wrapped connections cannot) is not kept.
func TestConnectionThatCannotBeLookedIntoIsNotKept(t *testing.T) {
	noLeaks(t)
	_, addr := serveHost(t, &fakeHost{})
	c, dials := countingClient(t, addr, func(conn net.Conn) net.Conn { return struct{ net.Conn }{conn} })
	for range 3 {
		runs(t, c, "{}")
	}
	if dials.Load() != 3 || len(c.lanes.idle) != 0 {
		t.Errorf("%d connections for 3 runs, %d idle", dials.Load(), len(c.lanes.idle))
	}
}

// A context may end with any error as its cause, also with one that looks like a
// host's: net/http returns it, and it must not pass for a run that never started.
func TestAlwaysTrue1CauseOfAContextIsNoRefusal(t *testing.T) {
	noLeaks(t)
	running := make(chan struct{})
	c, _ := serveHost(t, &fakeHost{run: func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, _ function.Output) (function.Summary, error) {
		close(running)
		<-ctx.Done()
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-running
		cancel(function.Errorf(function.CodeBusy, "not this run's error"))
	}()
	sum, err := c.Run(ctx, function.ID{}, testClaim, activation("{}"), &recorder{})
	if err != nil || sum.Outcome != function.OutcomeCancelled {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestClientRefusesWhatCannotBeRight(t *testing.T) {
	for _, test := range []struct{ url, token, words string }{
		{"http://gpu.example.com", "t", "plain http"},
		{"http://10.0.0.1:3234", "t", "plain http"},
		{"ftp://x", "t", "scheme"},
		{"gpu.example.com", "t", "not a URL"},
		{"https://u:secretpw@h", "t", "more than a host"},
		{"https://h?x=1", "t", "more than a host"},
		{"https://h", "a b", "space"},
		{"https://h", "abc~short", "fingerprint"},
	} {
		_, err := NewClient(ClientConfig{URL: test.url, Token: test.token})
		if function.CodeOf(err) != function.CodeBadRequest || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "secretpw") {
			t.Errorf("%s: %v", test.url, err)
		}
	}
	for _, url := range []string{"http://localhost:1", "http://[::1]:1/x/", "http://127.0.0.9", "https://gpu.example.com/path"} {
		if _, err := NewClient(ClientConfig{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A client that never read held its worker for ever, and where runs overlap all
// others of that worker.
func TestAlwaysTrue7ClientThatDoesNotReadIsCutOff(t *testing.T) {
	ended := make(chan error, 1)
	host := &fakeHost{run: func(_ context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
		line := make([]byte, 64<<10)
		for {
			if err := out.Write(function.Stdout, line); err != nil {
				ended <- err
				return function.Summary{Outcome: function.OutcomeCancelled}, nil
			}
		}
	}}
	h := NewHandler(HandlerConfig{Host: host, Auth: trusted{}})
	h.answers.unread = 20 * time.Millisecond
	addr := serve(t, h, Server{})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"+
		headerFunction+": "+function.ID{}.String()+"\r\n"+headerLease+": l\r\n\r\n{}")
	if err := within(t, ended, "the write to fail"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
}
