package wire

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestEveryCallReachesAFakeHost(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{name: "fake"}
	c, _ := serveHost(t, host)
	ctx := t.Context()
	code := strings.Repeat("print()\n", 100_000)
	spec, lease := testSpec(code), function.Lease{ID: "l1", TTL: 90 * time.Second}
	id, err := function.InitWithCode(ctx, c, spec, lease, func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(code)), nil
	})
	if err != nil || id != spec.ID() {
		t.Fatalf("Init: %v, %v", id, err)
	}
	if got := host.code["guest "+spec.Code.String()]; got != code {
		t.Errorf("the host has %d bytes of code, want %d", len(got), len(code))
	}
	if host.inits[0].ID() != id || host.leases[0] != lease {
		t.Errorf("the host saw %+v, %+v", host.inits[0], host.leases[0])
	}
	if err := c.Renew(ctx, id, function.Claim{Lease: "l1", Namespace: "guest"}, 7*time.Second); err != nil {
		t.Error(err)
	}
	if err := c.Stop(ctx, id, testClaim); err != nil {
		t.Error(err)
	}
	want := "renew " + id.String() + " l1 guest 7s, stop " + id.String() + " l1 "
	if got := strings.Join(host.calls, ", "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAlwaysTrue2BytesPassUnchanged(t *testing.T) {
	noLeaks(t)
	c, _ := serveHost(t, &fakeHost{})
	for _, body := range []string{"", "{}", "\x00\xff\r\n", `{"value":{"n":12345678901234567890}}`, strings.Repeat("x", 5<<20)} {
		var out recorder
		sum, err := c.Run(t.Context(), function.ID{1}, testClaim, activation(body), &out)
		if err != nil || sum.Outcome != function.OutcomeOK || sum.Server != "fake" {
			t.Fatalf("Run: %+v, %v", sum, err)
		}
		if len(out.frames) != 1 || out.frames[0] != "3:"+body {
			t.Errorf("a body of %d bytes came back as another", len(body))
		}
	}
}

func TestRunCarriesItsHeadersToAFakeHost(t *testing.T) {
	noLeaks(t)
	var got function.Activation
	host := &fakeHost{run: func(_ context.Context, id function.ID, _ function.Claim, act *function.Activation, _ function.Output) (function.Summary, error) {
		got = *act
		return function.Summary{Outcome: function.OutcomeCrashed, Error: "was " + id.String()[:2]}, nil
	}}
	c, _ := serveHost(t, host)
	act := activation("{}")
	c.Run(t.Context(), function.ID{}, testClaim, act, &recorder{}) // leaves a connection: the time that a run waits for one counts
	act = activation("{}")
	act.Timeout, act.Trace = 1500*time.Microsecond, "00-1-2-3"
	sum, err := c.Run(t.Context(), function.ID{0xab}, function.Claim{Lease: "l9", Namespace: "n"}, act, &recorder{})
	if err != nil || sum.Outcome != function.OutcomeCrashed || sum.Error != "was ab" {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got.Timeout != 2*time.Millisecond || got.Trace != act.Trace || host.claims[1] != (function.Claim{Lease: "l9", Namespace: "n"}) {
		t.Errorf("the host saw %+v, %+v", got, host.claims[1])
	}
}

func allCodes() []function.Code {
	return []function.Code{
		function.CodeBadRequest, function.CodeUnauthorized, function.CodeForbidden, function.CodeCodeMissing,
		function.CodeUnknownFunction, function.CodeInitFailed, function.CodeBusy, function.CodeNoCapacity, function.CodeTimeout,
		function.CodeCancelled, function.CodeTooLarge, function.CodeDraining, function.CodeUnreachable, function.CodeInternal,
	}
}

func TestEveryErrorOfAFakeHostCrossesTheWire(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{}
	c, _ := serveHost(t, host)
	for _, code := range allCodes() {
		want := function.Error{Code: code, Message: "words: " + string(code), RetryAfter: 1250 * time.Millisecond, Logs: "a\nb"}
		host.fail = &want
		host.run = func(context.Context, function.ID, function.Claim, *function.Activation, function.Output) (function.Summary, error) {
			return function.Summary{}, &want
		}
		_, initErr := c.Init(t.Context(), testSpec(""), function.Lease{ID: "l"})
		sum, runErr := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
		for call, err := range map[string]error{
			"init": initErr, "run": runErr,
			"code":  c.PutCode(t.Context(), "guest", function.Digest{}, strings.NewReader("x")),
			"renew": c.Renew(t.Context(), function.ID{}, testClaim, time.Second),
			"stop":  c.Stop(t.Context(), function.ID{}, testClaim),
			"watch": c.Watch(t.Context(), func(function.Status) error { return nil }),
		} {
			if err == nil || *function.AsError(err) != want {
				t.Errorf("%s, %s: got %+v", code, call, err)
			}
		}
		if sum.Outcome != "" {
			t.Errorf("%s: a refused run has the summary %+v", code, sum)
		}
	}
}

func TestStatusesOfCodes(t *testing.T) {
	for _, code := range allCodes() {
		if status := statusOf(code); status < 400 || status > 599 || (code != function.CodeInternal && status == 500) {
			t.Errorf("%s has the status %d", code, status)
		}
	}
	for status, want := range map[int]function.Code{
		301: function.CodeBadRequest, 401: function.CodeUnauthorized, 404: function.CodeBadRequest, 413: function.CodeTooLarge,
		429: function.CodeBusy, 500: function.CodeInternal, 502: function.CodeUnreachable, 504: function.CodeUnreachable,
	} {
		if got := codeOf(status); got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}

// The status line of a longer run has left when its refusal comes; the refusal
// must still be told from a lost run.
func TestLateRefusalOfAFakeHostIsAnError(t *testing.T) {
	noLeaks(t)
	want := function.Error{Code: function.CodeUnknownFunction, Message: "forgotten", RetryAfter: time.Second}
	answered := make(chan struct{})
	host := &fakeHost{run: func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, _ function.Output) (function.Summary, error) {
		<-answered
		return function.Summary{}, &want
	}}
	c, addr := serveHost(t, host)
	resp := post(t, addr, "/run", "{}") // returns when the status line is there
	close(answered)
	if resp.StatusCode != 200 {
		t.Fatalf("the status is %d", resp.StatusCode)
	}
	sum, _, err := c.readFrames(t.Context(), &source{frames: function.NewFrameReader(resp.Body)}, &recorder{})
	if err == nil || *function.AsError(err) != want {
		t.Errorf("got %+v, %+v", sum, err)
	}
}

func post(t *testing.T, addr, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testSecret)
	r.Header.Set(headerFunction, function.ID{}.String())
	r.Header.Set(headerLease, "l")
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestAlwaysTrue3LogsArriveWhileAFakeHostRuns(t *testing.T) {
	noLeaks(t)
	step := make(chan struct{})
	host := &fakeHost{run: func(_ context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("one\n"))
		<-step
		out.Write(function.Stderr, []byte("two\n"))
		<-step
		out.Write(function.Result, []byte("{}"))
		return function.Summary{Outcome: function.OutcomeOK}, nil
	}}
	c, _ := serveHost(t, host)
	out := recorder{seen: make(chan string, 3)}
	done := make(chan function.Summary, 1)
	go func() {
		sum, _ := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &out)
		done <- sum
	}()
	for _, want := range []string{"1:one\n", "2:two\n"} {
		if got := within(t, out.seen, want); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		step <- struct{}{} // only now does the run go on
	}
	if sum := within(t, done, "the end"); sum.Outcome != function.OutcomeOK || out.text() != "1:one\n|2:two\n|3:{}" {
		t.Errorf("%+v, %q", sum, out.text())
	}
}

func TestCallerThatLeavesCancelsTheRunOfAFakeHost(t *testing.T) {
	noLeaks(t)
	running, cancelled := make(chan struct{}, 1), make(chan error, 1)
	host := &fakeHost{run: func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, _ function.Output) (function.Summary, error) {
		running <- struct{}{}
		<-ctx.Done()
		cancelled <- ctx.Err()
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}}
	c, _ := serveHost(t, host)
	for _, ending := range []struct {
		ctx  func() (context.Context, context.CancelFunc)
		want function.Outcome
	}{
		{func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) }, function.OutcomeCancelled},
		{func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 300*time.Millisecond)
		}, function.OutcomeTimeout},
	} {
		ctx, cancel := ending.ctx()
		done := make(chan function.Summary, 1)
		go func() {
			sum, err := c.Run(ctx, function.ID{}, testClaim, activation("{}"), &recorder{})
			if err != nil {
				t.Error(err)
			}
			done <- sum
		}()
		within(t, running, "the run")
		if ending.want == function.OutcomeCancelled {
			cancel()
		}
		if sum := within(t, done, "the summary"); sum.Outcome != ending.want {
			t.Errorf("got %+v, want %s", sum, ending.want)
		}
		within(t, cancelled, "the host to hear of it")
		cancel()
	}
}

func TestOutputThatFailsCancelsTheRunOfAFakeHost(t *testing.T) {
	noLeaks(t)
	cancelled := make(chan struct{})
	host := &fakeHost{run: func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("x"))
		<-ctx.Done()
		close(cancelled)
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}}
	c, _ := serveHost(t, host)
	nobody := function.OutputFunc(func(function.Stream, []byte) error { return io.ErrClosedPipe })
	sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), nobody)
	if err != nil || sum.Outcome != function.OutcomeCancelled {
		t.Errorf("%+v, %v", sum, err)
	}
	within(t, cancelled, "the host to hear of it")
}

func TestPanicOfAFakeHostIsALostRun(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{run: func(context.Context, function.ID, function.Claim, *function.Activation, function.Output) (function.Summary, error) {
		panic("oh")
	}}
	c, _ := serveHost(t, host)
	sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
	if err != nil || sum.Outcome != function.OutcomeLost {
		t.Errorf("%+v, %v", sum, err)
	}
	h := NewHandler(HandlerConfig{Auth: Static(Token{Secret: testSecret})}) // no host: a nil pointer
	defer h.Close()
	addr := serve(t, h, Server{})
	resp := post(t, addr, "/stop", "")
	if resp.StatusCode != 500 || resp.Header.Get(headerStarted) != "" {
		t.Errorf("%d, %v", resp.StatusCode, resp.Header)
	}
}

func TestShortRunIsOneWriteEachWay(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{run: func(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("log"))
		return echo(ctx, id, claim, act, out)
	}}
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked, answered atomic.Int32
	addr := serveOn(t, countingListener{ln, &answered}, NewHandler(HandlerConfig{Host: host, Auth: roleTokens{}}), Server{})
	c, err := NewClient(ClientConfig{URL: "http://" + addr, Token: "client", DialContext: func(context.Context, string, string) (net.Conn, error) {
		conn, err := net.Dial("tcp", addr)
		return countingConn{conn, &asked}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		act := activation(strings.Repeat("x", 1000))
		act.Timeout = time.Minute
		if sum, err := c.Run(t.Context(), function.ID{}, testClaim, act, &recorder{}); err != nil || sum.Outcome != function.OutcomeOK {
			t.Fatalf("%+v, %v", sum, err)
		}
	}
	if asked.Load() != 3 || answered.Load() != 3 {
		t.Errorf("3 runs took %d writes of the client and %d of the host", asked.Load(), answered.Load())
	}
}

// countingConn counts its writes.
type countingConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

type countingListener struct {
	net.Listener
	writes *atomic.Int32
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countingConn{conn, l.writes}, err
}

func TestWatchOfAFakeHost(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{name: "w", change: make(chan struct{})}
	c, addr := serveHost(t, host)
	seen := make(chan int64)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- c.Watch(ctx, func(s function.Status) error {
			seen <- s.Servers[0].Uptime
			return nil
		})
	}()
	for n := int64(1); n <= 3; n++ {
		if got := within(t, seen, "a status"); got != n {
			t.Errorf("got status %d, want %d", got, n)
		}
		host.change <- struct{}{}
	}
	within(t, seen, "the last status")
	cancel()
	if err := within(t, done, "the end"); function.CodeOf(err) != function.CodeCancelled {
		t.Error(err)
	}
	r, _ := http.NewRequest(http.MethodGet, "http://"+addr+"/status", nil)
	r.Header.Set("Authorization", "bearer "+testSecret)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if !strings.HasPrefix(string(text), `{"servers":[{"id":"1","name":"w"`) || strings.Count(string(text), "\n") != 1 {
		t.Errorf("got %q", text)
	}
}
