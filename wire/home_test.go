package wire

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A testBalancer is the balancer's side: what joins is sent to joined, and what
// left to left.
type testBalancer struct {
	joined chan Joining
	left   chan Joining
}

func newTestBalancer() *testBalancer {
	return &testBalancer{joined: make(chan Joining, 10), left: make(chan Joining, 10)}
}

// join watches the server until it is gone.
func (b *testBalancer) join(ctx context.Context, j Joining) error {
	b.joined <- j
	defer func() { b.left <- j }()
	return j.Host.Watch(ctx, func(function.Status) error { return nil })
}

func (b *testBalancer) handler() *Handler {
	return NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: roleTokens{}, Join: b.join})
}

// goHome joins a server to the balancer at url until the test ends, or stop is
// called, which waits.
func goHome(t testing.TB, cfg HomeConfig) (stop func()) {
	t.Helper()
	if cfg.ServerID == "" {
		cfg.ServerID = "id-1"
	}
	if cfg.Name == "" {
		cfg.Name = "box ü/1"
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- DialHome(ctx, cfg) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("DialHome: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func runs(t testing.TB, host function.Host, body string) {
	t.Helper()
	var out recorder
	sum, err := host.Run(context.Background(), function.ID{1}, testClaim, activation(body), &out)
	if err != nil || sum.Outcome != function.OutcomeOK || out.text() != "3:"+body {
		t.Fatalf("%+v, %v, %q", sum, err, out.text())
	}
}

func TestDialHomeToAFakeBalancerPlainAndTLS(t *testing.T) {
	authority, err := OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config, err := authority.ServerConfig([]string{"balancer.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, scheme, token string
		server              Server
	}{
		{"plain", "http://", "join", Server{}},
		{"TLS", "https://", "join~" + authority.Fingerprint(), Server{TLS: config}},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			b := newTestBalancer()
			addr := serve(t, b.handler(), test.server)
			onJoined := make(chan struct{}, 100)
			stop := goHome(t, HomeConfig{URL: test.scheme + addr, Token: test.token, Host: &fakeHost{}, OnJoined: func() { onJoined <- struct{}{} }})
			within(t, onJoined, "OnJoined")
			j := within(t, b.joined, "the server")
			if j.ServerID != "id-1" || j.Name != "box ü/1" {
				t.Errorf("joined as %+v", j)
			}
			for n := range 20 {
				runs(t, j.Host, fmt.Sprint(n))
			}
			stop()
			within(t, b.left, "the server to be missed")
			untilUnreachable(t, j.Host)
		})
	}
}

// untilUnreachable runs until no connection is left. Before, a run may be written
// to one that is just closing: then it is lost.
func untilUnreachable(t *testing.T, host function.Host) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		sum, err := host.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
		if function.CodeOf(err) == function.CodeUnreachable {
			return
		}
		if err != nil || sum.Outcome != function.OutcomeLost {
			t.Fatalf("a run on a server that left: %+v, %v", sum, err)
		}
	}
	t.Error("a server that left stays reachable")
}

func TestJoinThatIsRefusedSaysWhy(t *testing.T) {
	noLeaks(t)
	authority, _ := OpenAuthority(t.TempDir())
	config, err := authority.ServerConfig([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	secure := serve(t, b.handler(), Server{TLS: config})
	notBalancer := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: roleTokens{}}), Server{})
	for _, test := range []struct {
		url, token string
		code       function.Code
		words      string
	}{
		{"http://" + addr, "wrong", function.CodeUnauthorized, "not one of this host's"},
		{"http://" + addr, "client", function.CodeForbidden, "not good for /join"},
		{"http://" + addr + "/sub", "join", function.CodeBadRequest, "nothing at /sub/join"},
		{"http://" + notBalancer, "join", function.CodeBadRequest, "not a balancer"},
		{"http://gpu.example.com", "join", function.CodeBadRequest, "plain http"},
		{"https://" + secure, "wrong~" + authority.Fingerprint(), function.CodeUnauthorized, "not one of this host's"},
	} {
		err := DialHome(t.Context(), HomeConfig{URL: test.url, Token: test.token, ServerID: "1", Name: "n", Host: &fakeHost{}})
		if function.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v", test.url, err)
		}
	}
}

func TestPinnedAuthority(t *testing.T) {
	noLeaks(t)
	right, _ := OpenAuthority(t.TempDir())
	wrong, _ := OpenAuthority(t.TempDir())
	config, err := right.ServerConfig([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: roleTokens{}}), Server{TLS: config})
	plain := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: roleTokens{}}), Server{})
	for _, test := range []struct {
		addr, token, words string
		code               function.Code
	}{
		{addr, "client~" + right.Fingerprint(), "", ""},
		{addr, "client~" + wrong.Fingerprint(), "not from the authority whose fingerprint the token carries", function.CodeUnauthorized},
		{addr, "client", "it carries the fingerprint", function.CodeUnauthorized},
		{plain, "client~" + right.Fingerprint(), "write http://", function.CodeUnreachable},
	} {
		c, err := NewClient(ClientConfig{URL: "https://" + test.addr, Token: test.token})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		sum, err := c.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
		if test.words == "" {
			if err != nil || sum.Outcome != function.OutcomeOK {
				t.Errorf("%+v, %v", sum, err)
			}
			continue
		}
		if function.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.words) {
			t.Errorf("want %q with %q, got %v", test.code, test.words, err)
		}
	}
}

func TestServerRejoinsABalancerThatRestarts(t *testing.T) {
	noLeaks(t)
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	first := newTestBalancer()
	stopFirst := balancerOn(t, ln, first.handler())
	onJoined := make(chan struct{}, 100)
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: &fakeHost{}, OnJoined: func() { onJoined <- struct{}{} }})
	runs(t, within(t, first.joined, "the first join").Host, "1")
	within(t, onJoined, "OnJoined")
	stopFirst()
	ln, err = Listen(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	second := newTestBalancer()
	balancerOn(t, ln, second.handler())
	runs(t, within(t, second.joined, "the second join").Host, "2")
	within(t, onJoined, "OnJoined again")
}

// balancerOn serves until the test ends, or stop is called, which waits.
func balancerOn(t *testing.T, ln net.Listener, h *Handler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&Server{Handler: h}).Serve(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
		h.Close()
	})
	t.Cleanup(stop)
	return stop
}

// A balancer that drops a server as soon as it has joined was dialled again
// without any pause.
func TestServerThatIsDroppedAtOnceSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &home{cfg: HomeConfig{}, log: orDiscard(nil), listener: newHomeListener(), conns: newCensus(), away: true}
		h.listener.Close() // whatever is delivered is closed, as by a balancer
		dials := 0
		h.dial = func(context.Context) (*homeConn, error) {
			dials++ // one at a time: the server is never joined for longer
			near, _ := net.Pipe()
			h.conns.mu.Lock()
			h.conns.fresh-- // welcome adds it
			h.conns.mu.Unlock()
			return &homeConn{Conn: near, instance: fmt.Sprint(dials)}, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.keep(ctx); err != nil {
			t.Error(err)
		}
		if dials < 10 || dials > 40 {
			t.Errorf("%d dials in a minute", dials)
		}
	})
}

func TestBurstOfRunsOverDialledConnections(t *testing.T) {
	noLeaks(t)
	const burst = 64
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	var together sync.WaitGroup // every run waits until all run
	together.Add(burst)
	host := &fakeHost{run: func(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
		together.Done()
		together.Wait()
		return echo(ctx, id, claim, act, out)
	}}
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: host})
	j := within(t, b.joined, "the server")
	var callers sync.WaitGroup
	for n := range burst {
		callers.Go(func() { runs(t, j.Host, fmt.Sprint(n)) })
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	within(t, done, "all runs at once")
}

// On a long way a run has ended at the server while its answer still travels. The server
// took that connection for free and dialled no other: 64 callers at a distance of 20 ms
// shared the first few connections for ever.
func TestConnectionsGrowWhileAnswersAreOnTheirWay(t *testing.T) {
	noLeaks(t)
	const callers = 64
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: &fakeHost{run: echo}})
	j := within(t, b.joined, "the server")
	var together, all sync.WaitGroup // every answer is read only when all are there
	together.Add(callers)
	for range callers {
		all.Go(func() {
			slow := function.OutputFunc(func(function.Stream, []byte) error {
				together.Done()
				together.Wait()
				return nil
			})
			sum, err := j.Host.Run(context.Background(), function.ID{1}, testClaim, activation("x"), slow)
			if err != nil || sum.Outcome != function.OutcomeOK {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	within(t, done, "all answers at once")
}

func TestReverseProxyPassesJoin(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	target := &url.URL{Scheme: "http", Host: serve(t, b.handler(), Server{})}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{Transport: transport, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	addr := serve(t, proxy, Server{})
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: &fakeHost{}})
	runs(t, within(t, b.joined, "the server").Host, "by a proxy")
}

func TestAlwaysTrue1RunOnADyingServerIsLost(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	running := make(chan struct{})
	host := &fakeHost{run: func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("so far"))
		close(running)
		<-ctx.Done()
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}}
	stop := goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: host})
	j := within(t, b.joined, "the server")
	out := recorder{seen: make(chan string, 1)}
	done := make(chan function.Summary, 1)
	go func() {
		sum, err := j.Host.Run(context.Background(), function.ID{}, testClaim, activation("{}"), &out)
		if err != nil {
			t.Error(err)
		}
		done <- sum
	}()
	within(t, running, "the run")
	within(t, out.seen, "the log")
	stop()
	if sum := within(t, done, "the end"); sum.Outcome != function.OutcomeLost || out.text() != "1:so far" {
		t.Errorf("%+v, %q", sum, out.text())
	}
	within(t, b.left, "the server to be missed")
}

func TestNewerSessionOfAServerReplacesTheOlder(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: &fakeHost{}, Name: "old"})
	within(t, b.joined, "the old server")
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: &fakeHost{}, Name: "new"})
	if j := within(t, b.left, "the old server to leave"); j.Name != "old" {
		t.Errorf("%s left", j.Name)
	}
	j := within(t, b.joined, "the new server")
	if j.Name != "new" {
		t.Errorf("%s joined", j.Name)
	}
	runs(t, j.Host, "x")
}

func TestMissing(t *testing.T) {
	for _, test := range []struct{ fresh, used, dialing, want int }{
		{0, 0, 0, 8}, {8, 0, 0, 0}, {0, 0, 8, 0}, {4, 4, 0, 4}, {0, 16, 0, 16}, {8, 16, 0, 8}, {30, 16, 0, 0},
		{0, 100, 0, maxDials}, {0, 100, 30, 2}, {0, 100, maxDials, 0}, {0, maxConns, 0, 0}, {0, maxConns - 1, 0, 1},
	} {
		if got := missing(test.fresh, test.used, test.dialing); got != test.want {
			t.Errorf("missing(%d, %d, %d) = %d, want %d", test.fresh, test.used, test.dialing, got, test.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		n       int
		refused bool
		random  float64
		want    time.Duration
	}{
		{1, false, 0, 50 * time.Millisecond}, {1, false, 1, 100 * time.Millisecond}, {3, false, 1, 400 * time.Millisecond},
		{7, false, 1, 5 * time.Second}, {1000, false, 0, 2500 * time.Millisecond}, {1, true, 0, 15 * time.Second},
	} {
		if got := backoff(test.n, test.refused, test.random); got != test.want {
			t.Errorf("backoff(%d, %v, %v) = %v, want %v", test.n, test.refused, test.random, got, test.want)
		}
	}
}

// A server whose joins don't last pauses, but not before it can serve: its first
// connection goes to its status.
func TestFlappingServerPausesOnceItHasItsConnections(t *testing.T) {
	begin := time.Now()
	h := &home{log: orDiscard(nil), conns: newCensus()}
	h.hasJoined(begin)
	if h.pause != 0 {
		t.Fatalf("the first join makes a pause of %v", h.pause)
	}
	h.conns.add() // the one by which it has joined
	h.hasJoined(begin.Add(time.Second))
	for n := 1; n < spareConns; n++ {
		if want := spareConns - n; h.due(time.Now()) != want {
			t.Errorf("with %d connections %d are due, not %d", n, h.due(time.Now()), want)
		}
		h.conns.add()
		h.rest(time.Now())
	}
	if h.pause != 0 || !h.retryAt.After(begin) {
		t.Errorf("no pause has begun: %v, %v", h.pause, h.retryAt)
	}
	h.hasJoined(begin.Add(time.Hour))
	if h.flaps != 0 || h.pause != 0 {
		t.Errorf("after a join that lasted: %d, %v", h.flaps, h.pause)
	}
}
