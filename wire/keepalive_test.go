package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// countingClient counts its dials. wrap changes the connections; nil: it does not.
func countingClient(t *testing.T, addr string, wrap func(net.Conn) net.Conn) (*Client, *atomic.Int32) {
	t.Helper()
	var dials atomic.Int32
	c, err := NewClient(ClientConfig{URL: "http://" + addr, Token: testSecret, DialContext: func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		conn, err := net.Dial("tcp", addr)
		if err == nil && wrap != nil {
			conn = wrap(conn)
		}
		return conn, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, &dials
}

func TestOneConnectionCarriesManyRuns(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{}
	_, addr := serveHost(t, host)
	c, dials := countingClient(t, addr, nil)
	c.lanes.last = time.Minute // however busy this machine is
	// Answers with a length, in chunks, refusals early and late, and bodies
	// that do not fit into one write.
	for n := range 60 {
		size := []int{0, 10, 3000, 20_000, 300_000}[n%5]
		runs(t, c, strings.Repeat("x", size))
	}
	host.run = func(context.Context, function.ID, function.Claim, *function.Activation, function.Output) (function.Summary, error) {
		return function.Summary{}, function.Errorf(function.CodeBusy, "full")
	}
	for range 5 {
		if _, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{}); function.CodeOf(err) != function.CodeBusy {
			t.Fatal(err)
		}
	}
	if dials.Load() != 1 {
		t.Errorf("%d connections were made", dials.Load())
	}
}

// answerFrames is what a host could answer, without a way to tell its length.
var answerFrames = func() string {
	payload := `{"outcome":"ok"}`
	var h [function.FrameHeaderSize]byte
	function.PutFrameHeader(h[:], function.End, len(payload))
	return string(h[:]) + payload
}()

// keepingServer answers all requests of a connection with answer, and keeps it.
func keepingServer(t *testing.T, answer string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, in, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			io.WriteString(conn, answer)
			r, err := http.ReadRequest(in.Reader)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(ln) }()
	t.Cleanup(func() { server.Close(); <-done })
	return ln.Addr().String()
}

func TestWhichAnswersKeepTheConnection(t *testing.T) {
	length := fmt.Sprintf("Content-Length: %d\r\n", len(answerFrames))
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(answerFrames), answerFrames)
	for _, test := range []struct {
		name, answer string
		keeps        bool
	}{
		{"length", "HTTP/1.1 200 OK\r\n" + length + "\r\n" + answerFrames, true},
		{"chunks", "HTTP/1.1 200 OK\r\n" + chunked, true},
		{"provisional", "HTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n" + length + "\r\n" + answerFrames, true},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + "\r\n" + answerFrames, false},
		{"chunks, close", "HTTP/1.1 200 OK\r\nConnection: close\r\n" + chunked, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n" + length + "\r\n" + answerFrames, false},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n" + answerFrames, false},
		{"more than it says", "HTTP/1.1 200 OK\r\n" + length + "\r\n" + answerFrames + "x", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			c, dials := countingClient(t, keepingServer(t, test.answer), nil)
			for n := range 3 {
				sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
				if err != nil || sum.Outcome != function.OutcomeOK {
					t.Fatalf("run %d: %+v, %v", n, sum, err)
				}
			}
			if want := map[bool]int32{true: 1, false: 3}[test.keeps]; dials.Load() != want {
				t.Errorf("%d connections for 3 runs, want %d", dials.Load(), want)
			}
		})
	}
}

func TestAlwaysTrue1AnswerWithTooManyHeadersIsLost(t *testing.T) {
	noLeaks(t)
	c, dials := countingClient(t, keepingServer(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", maxHead)+"\r\n\r\n"), nil)
	sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
	if err != nil || sum.Outcome != function.OutcomeLost || !strings.Contains(sum.Error, "too large") || dials.Load() != 1 {
		t.Errorf("%+v, %v, %d connections", sum, err, dials.Load())
	}
}

// The second run of a connection is cut at each byte, with a chunked answer.
func TestAlwaysTrue1ChunkedAnswerCutAtEachByteOfAUsedConnection(t *testing.T) {
	noLeaks(t)
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(answerFrames), answerFrames)
	ended := strings.LastIndex(answer, "}") + 1 // where frame 0 is whole
	var cut, requests int
	addr := rawServer(t, func(conn net.Conn, _ *http.Request) {
		requests++
		io.WriteString(conn, answer)
		if _, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, 1<<20))); err == nil {
			requests++
			io.WriteString(conn, answer[:cut])
		}
	})
	c, _ := countingClient(t, addr, nil)
	for cut = 0; cut <= len(answer); cut++ {
		for n := range 2 {
			sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation(""), &recorder{})
			want := function.OutcomeOK
			if n == 1 && cut < ended {
				want = function.OutcomeLost
			}
			if err != nil || sum.Outcome != want {
				t.Fatalf("cut after %d of %d bytes, run %d: %+v, %v", cut, len(answer), n, sum, err)
			}
		}
		if cut == len(answer) {
			break // that connection is as good as before
		}
		if requests != 2*(cut+1) {
			t.Fatalf("cut after %d bytes: %d requests for %d runs", cut, requests, 2*(cut+1))
		}
	}
}

func TestCancelledRunClosesItsConnection(t *testing.T) {
	noLeaks(t)
	asked, cut := make(chan struct{}), make(chan struct{})
	addr := rawServer(t, func(conn net.Conn, _ *http.Request) {
		close(asked)
		io.Copy(io.Discard, conn) // until the client hangs up
		close(cut)
	})
	c, _ := countingClient(t, addr, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan function.Summary, 1)
	go func() {
		sum, _ := c.Run(ctx, function.ID{}, testClaim, activation("{}"), &recorder{})
		done <- sum
	}()
	within(t, asked, "the request")
	cancel()
	if sum := within(t, done, "the summary"); sum.Outcome != function.OutcomeCancelled {
		t.Errorf("%+v", sum)
	}
	within(t, cut, "the host to see the end of the connection")
	if len(c.lanes.idle) != 0 {
		t.Error("the connection of a cancelled run is kept")
	}
}

// The host refuses while a body is still being written, and reads no further.
func TestEarlyRefusalOfALargeBodyIsRead(t *testing.T) {
	noLeaks(t)
	const refusal = "HTTP/1.1 429 X\r\nWhiskaway-Started: no\r\nContent-Length: 30\r\n\r\n{\"error\":\"full\",\"code\":\"busy\"}"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, refusal)
			io.Copy(io.Discard, conn)
		}
	}()
	c, _ := countingClient(t, ln.Addr().String(), nil)
	body := strings.Repeat("x", 32<<20)
	sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation(body), &recorder{})
	if function.CodeOf(err) != function.CodeBusy {
		t.Errorf("%+v, %v", sum, err)
	}
	c.Close() // the whole body may have been taken after all, and the connection kept
	<-done
}

// fileBody is a body in a file.
func fileBody(t *testing.T, text string) function.Body {
	t.Helper()
	body, err := function.ReadBody(strings.NewReader(text), -1, function.BodyLimits{Memory: 10, Max: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { body.Close() })
	return body
}

func TestAlwaysTrue2BodyInAFilePassesUnchanged(t *testing.T) {
	noLeaks(t)
	c, _ := serveHost(t, &fakeHost{})
	for _, size := range []int{11, bufferSize, 3<<20 + 1} {
		text := strings.Repeat("0123456789abcdefg", size/17+1)[:size]
		var out recorder
		sum, err := c.Run(t.Context(), function.ID{}, testClaim, &function.Activation{Body: fileBody(t, text)}, &out)
		if err != nil || sum.Outcome != function.OutcomeOK || out.text() != "3:"+text {
			t.Errorf("%d bytes: %+v, %v", size, sum, err)
		}
	}
}

func TestBodyThatCannotBeReadBackEndsTheRun(t *testing.T) {
	noLeaks(t)
	near, far := net.Pipe()
	defer far.Close()
	l := newLane(near, lastWrite)
	go io.Copy(io.Discard, far)
	l.stream(t.Context(), io.MultiReader(strings.NewReader("begin"), brokenReader{}), 100)
	if _, err := l.Read(make([]byte, 1)); err == nil {
		t.Error("the host was left waiting")
	}
	if l.done(true) {
		t.Error("the lane is kept")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// limitedConn lets only so many bytes be written, and then fails.
type limitedConn struct {
	*net.TCPConn
	left *atomic.Int64
}

func (c limitedConn) Write(p []byte) (int, error) {
	n := min(int64(len(p)), c.left.Load())
	c.left.Add(-n)
	if n < int64(len(p)) {
		c.TCPConn.Write(p[:n])
		return int(n), &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	return c.TCPConn.Write(p)
}

func TestAlwaysTrue1OnlyARunOfWhichNothingWasWrittenGoesToAnotherConnection(t *testing.T) {
	noLeaks(t)
	const plenty = 1 << 20
	for _, test := range []struct {
		name   string
		limits []int64 // for each connection, of the second run
		dials  int32
		want   function.Outcome
		code   function.Code
	}{
		{"nothing written", []int64{0, plenty}, 2, function.OutcomeOK, ""},
		{"one byte written", []int64{1, plenty}, 1, function.OutcomeLost, ""},
		{"nothing written on a new one either", []int64{0, 0}, 2, "", function.CodeUnreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, addr := serveHost(t, &fakeHost{})
			var limits []*atomic.Int64
			c, dials := countingClient(t, addr, func(conn net.Conn) net.Conn {
				left := new(atomic.Int64)
				left.Store(plenty)
				if len(limits) > 0 {
					left.Store(test.limits[len(limits)])
				}
				limits = append(limits, left)
				return limitedConn{conn.(*net.TCPConn), left}
			})
			runs(t, c, "{}")
			limits[0].Store(test.limits[0])
			sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
			if sum.Outcome != test.want || function.CodeOf(err) != test.code || dials.Load() != test.dials {
				t.Errorf("%+v, %v, %d connections", sum, err, dials.Load())
			}
		})
	}
}

func TestAlwaysTrue9ValueThatEndsAHeaderIsNotSent(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{}
	c, _ := serveHost(t, host)
	const evil = "x\r\nWhiskaway-Namespace: other"
	for _, test := range []struct {
		claim function.Claim
		trace string
	}{{function.Claim{Lease: evil}, ""}, {function.Claim{Lease: "l", Namespace: evil}, ""}, {testClaim, evil}} {
		act := activation("{}")
		act.Trace = test.trace
		if _, err := c.Run(t.Context(), function.ID{}, test.claim, act, &recorder{}); function.CodeOf(err) != function.CodeBadRequest {
			t.Errorf("%+v: %v", test, err)
		}
	}
	if len(host.claims) != 0 {
		t.Errorf("the host saw %v", host.claims)
	}
}

// waitReadable waits until the end of an idle connection has arrived.
func waitReadable(t *testing.T, conn net.Conn) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !readable(conn); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the end of the connection does not arrive")
		}
	}
}

// limit sets a deadline before the peer is looked at; one that is long over
// must not make a connection look dead.
func TestConnectionIsKeptAfterItsDeadline(t *testing.T) {
	noLeaks(t)
	_, addr := serveHost(t, &fakeHost{})
	c, dials := countingClient(t, addr, nil)
	runs(t, c, "1")
	l := c.lanes.idle[0]
	l.limit(time.Now().Add(-time.Second))
	runs(t, c, "2")
	if dials.Load() != 1 {
		t.Errorf("%d connections", dials.Load())
	}
}
