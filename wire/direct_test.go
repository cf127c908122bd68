package wire

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// named answers runs with its name.
func named(name string) *fakeHost {
	return &fakeHost{run: func(_ context.Context, _ function.ID, _ function.Claim, _ *function.Activation, out function.Output) (function.Summary, error) {
		return function.Summary{Outcome: function.OutcomeOK, Server: name}, nil
	}}
}

// wayOf runs once and says which way the run took. A run that is refused or lost fails the test.
func wayOf(t *testing.T, host function.Host) string {
	t.Helper()
	sum, err := host.Run(t.Context(), function.ID{1}, testClaim, activation("{}"), &recorder{})
	if err != nil || sum.Outcome != function.OutcomeOK {
		t.Fatalf("a run: %+v, %v", sum, err)
	}
	return sum.Server
}

// untilWay runs until the runs take that way.
func untilWay(t *testing.T, host function.Host, way string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); wayOf(t, host) != way; {
		if time.Now().After(deadline) {
			t.Fatalf("no run went %s", way)
		}
		time.Sleep(time.Millisecond)
	}
}

// A faceOfOurs is a server's own listener, which can be closed and opened again at its address.
type faceOfOurs struct {
	t     *testing.T
	host  *fakeHost
	addr  string
	token Token
	tls   Server
	stop  func()
}

func newFaceOfOurs(t *testing.T) *faceOfOurs {
	authority, err := OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config, err := authority.ServerConfig([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	f := &faceOfOurs{t: t, host: named("directly"), addr: "127.0.0.1:0", tls: Server{TLS: config}, token: Token{Secret: NewSecret(RoleClient), Fingerprint: authority.Fingerprint()}}
	f.open()
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *faceOfOurs) open() {
	ln, err := Listen(f.t.Context(), f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.addr = ln.Addr().String()
	handler := NewHandler(HandlerConfig{Host: f.host, Auth: WithClients(roleTokens{}, f.token)})
	s := f.tls
	s.Handler = handler
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Serve: %v", err)
		}
		handler.Close()
	})
}

func TestAnAdvertisedServerIsDialledAndElseByHomeWithFakeHosts(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	ours := newFaceOfOurs(t)
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: named("by home"),
		Advertise: Advertised{URL: "https://" + ours.addr, Token: ours.token.Text()}})
	host := within(t, b.joined, "the server").Host
	untilWay(t, host, "directly")
	ours.stop()
	untilWay(t, host, "by home")
	ours.open()
	host.(*direct).suspect() // instead of the quarter of a minute
	untilWay(t, host, "directly")
}

func TestAServerIsNotDialledWhereAnotherAnswersWithFakeHosts(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	ours, other := newFaceOfOurs(t), newFaceOfOurs(t)
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: named("by home"),
		Advertise: Advertised{URL: "https://" + other.addr, Token: ours.token.Text()}})
	host := within(t, b.joined, "the server").Host
	if err := host.(*direct).try(t.Context()); function.CodeOf(err) != function.CodeUnauthorized {
		t.Errorf("another's certificate: %v", err)
	}
	host.(*direct).good.Store(true) // as if it had been the right one before
	if way := wayOf(t, host); way != "by home" {
		t.Errorf("the run went %s", way)
	}
}

func TestWhatMayBeAdvertised(t *testing.T) {
	good := Token{Secret: "secret"}.Text()
	for _, test := range []struct {
		a    Advertised
		here bool
		want string // in the error; empty: none
	}{
		{Advertised{}, false, ""},
		{Advertised{"https://gpu.example.com:8080", good}, false, ""},
		{Advertised{"https://10.1.2.3/way", good}, false, ""},
		{Advertised{"http://127.0.0.1:8080", good}, true, ""},
		{Advertised{"https://localhost:8080", good}, true, ""},
		{Advertised{"http://127.0.0.1:8080", good}, false, "not known to be"},
		{Advertised{"https://localhost:8080", good}, false, "not known to be"},
		{Advertised{"https://[::ffff:127.0.0.1]:8080", good}, false, "not known to be"},
		{Advertised{"https://0.0.0.0:8080", good}, false, "not known to be"},
		{Advertised{"https://169.254.169.254", good}, false, "not known to be"},
		{Advertised{"https://[fe80::1%25eth0]:8080", good}, false, "not known to be"},
		{Advertised{"http://127.0.0.1:8080/path", good}, true, "with a path"},
		{Advertised{"http://gpu.example.com:8080", good}, false, "plain http"},
		{Advertised{"https://gpu.example.com:8080", ""}, false, "token"},
		{Advertised{"gpu.example.com", good}, false, "URL"},
	} {
		err := test.a.checkFrom(test.here)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s, here %v: %v, want %q", test.a.URL, test.here, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the token is told: %v", err)
		}
	}
}

// Code is asked for by Init, and goes the same way: only there it is known that it may be compressed.
func TestCodeForAnAdvertisedServerGoesByHomeCompressedWithFakeHosts(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	ours, atHome := newFaceOfOurs(t), &fakeHost{code: map[string]string{}}
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: atHome, Advertise: Advertised{URL: "https://" + ours.addr, Token: ours.token.Text()}})
	d := within(t, b.joined, "the server").Host.(*direct)
	untilWay(t, d, "directly")
	text := strings.Repeat("x = 1\n", 1000)
	spec := testSpec(text)
	if _, err := function.InitWithCode(t.Context(), d, spec, function.Lease{ID: "l1", TTL: time.Minute}, readerOf(text)); err != nil {
		t.Fatal(err)
	}
	atHome.mu.Lock()
	defer atHome.mu.Unlock()
	if len(atHome.code) != 1 || len(ours.host.code) != 0 || !d.home.takesZstd.Load() {
		t.Errorf("by home came %d codes, directly %d", len(atHome.code), len(ours.host.code))
	}
}

// A name is looked at when it is dialled: it may stand for another address each time.
func TestANameThatStandsForThisMachineIsDialledForServersOfThisMachineOnly(t *testing.T) {
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	u := &url.URL{Scheme: "https", Host: "localhost:" + port}
	conn, err := dialAdvertised(u, true)(t.Context(), "tcp4", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if conn, err = dialAdvertised(u, false)(t.Context(), "tcp4", u.Host); err == nil {
		conn.Close()
		t.Fatal("it was dialled")
	}
	if !strings.Contains(err.Error(), "not known to be") {
		t.Errorf("it says %v", err)
	}
}

func TestWhoIsOnTheSameMachine(t *testing.T) {
	for _, test := range []struct {
		remote, host, passedOn string
		want                   bool
	}{
		{"127.0.0.1:5", "127.0.0.1:3234", "", true},
		{"[::1]:5", "localhost:3234", "", true},
		{"192.0.2.1:5", "127.0.0.1:3234", "", false},
		{"127.0.0.1:5", "balancer.invalid:3234", "", false},
		{"127.0.0.1:5", "192.0.2.1", "", false},
		{"127.0.0.1:5", "127.0.0.1:3234", "X-Forwarded-For", false},
		{"127.0.0.1:5", "127.0.0.1:3234", "Forwarded", false},
		{"127.0.0.1:5", "127.0.0.1:3234", "X-Real-Ip", false},
		{"127.0.0.1:5", "127.0.0.1:3234", "Via", false},
	} {
		r := &http.Request{RemoteAddr: test.remote, Host: test.host, Header: http.Header{}}
		if test.passedOn != "" {
			r.Header[test.passedOn] = []string{"192.0.2.1"}
		}
		if got := fromSameMachine(r); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// Many a machine's name stands for loopback there: who calls us by it, and comes by loopback, is here.
func TestAMachinesOwnNameMayMeanLoopback(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := net.DefaultResolver.LookupIPAddr(t.Context(), name)
	if err != nil || len(addrs) != 1 || !addrs[0].IP.IsLoopback() {
		t.Skipf("here %s stands for %v, %v", name, addrs, err)
	}
	if r := (&http.Request{RemoteAddr: "127.0.0.1:5", Host: name + ":3234"}); !fromSameMachine(r) {
		t.Error("it is taken for another machine's")
	}
}

// Who is trusted no more keeps no connection, also none that we have made, and gets no new one.
func TestAlwaysTrue9WhatWasDialledEndsWithTheJoinTokenWithFakeHosts(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	tokens, addr := serveTokens(t, b)
	id, secret := secretFor(t, tokens, TokenSpec{Role: RoleJoin})
	ours, blocked := newFaceOfOurs(t), make(chan struct{})
	goHome(t, HomeConfig{URL: "http://" + addr, Token: secret, Host: named("by home"),
		Advertise: Advertised{URL: "https://" + ours.addr, Token: ours.token.Text()}})
	d := within(t, b.joined, "the server").Host.(*direct)
	untilWay(t, d, "directly")
	ours.host.run = func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, _ function.Output) (function.Summary, error) {
		close(blocked)
		<-ctx.Done()
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}
	ran := make(chan function.Outcome, 1)
	go func() {
		sum, _ := d.Run(t.Context(), function.ID{1}, testClaim, activation("{}"), &recorder{})
		ran <- sum.Outcome
	}()
	within(t, blocked, "the run")
	if err := tokens.RevokeToken(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if got := within(t, ran, "the run's end"); got != function.OutcomeLost {
		t.Errorf("the run under way ended as %q", got)
	}
	within(t, b.left, "the member to be dropped")
	d.good.Store(true) // as if nobody had noticed
	if _, err := d.Run(t.Context(), function.ID{1}, testClaim, activation("{}"), &recorder{}); function.CodeOf(err) != function.CodeUnreachable {
		t.Errorf("a run after that: %v", err)
	}
}

func TestAWrongAdvertisementIsRefusedAtTheJoin(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Authorization": {"Bearer join"}, "Connection": {"Upgrade"}, "Upgrade": {upgradeProtocol},
		headerServer: {"id"}, headerName: {"n"}, headerSession: {"s"}, headerAdvertise: {"http://192.0.2.1"}, headerAdvertiseToken: {"x"}}
	u, err := parseURL("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	_, err = upgrade(conn, &http.Request{Method: http.MethodPost, URL: at(u, "/join"), Host: u.Host, Header: header})
	conn.Close()
	if function.CodeOf(err) != function.CodeBadRequest || !strings.Contains(err.Error(), "plain http") {
		t.Errorf("want a refusal, got %v", err)
	}
}

func TestEveryCallGoesByHomeWhereAServerCannotBeDialledWithAFakeHost(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	addr := serve(t, b.handler(), Server{})
	ours, atHome := newFaceOfOurs(t), &fakeHost{}
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: atHome, Advertise: Advertised{URL: "https://" + ours.addr, Token: ours.token.Text()}})
	d := within(t, b.joined, "the server").Host.(*direct)
	untilWay(t, d, "directly")
	ours.stop()
	ctx, spec := t.Context(), testSpec("x")
	for what, call := range map[string]func() error{
		"PutCode": func() error { return d.PutCode(ctx, spec.Namespace, spec.Code, strings.NewReader("x")) },
		"Renew":   func() error { return d.Renew(ctx, spec.ID(), testClaim, time.Second) },
		"Stop":    func() error { return d.Stop(ctx, spec.ID(), testClaim) },
	} {
		d.good.Store(true) // nobody has noticed yet
		if err := call(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	d.good.Store(true)
	if _, err := d.Init(ctx, spec, function.Lease{ID: "l1", TTL: time.Minute}); err != nil {
		t.Errorf("Init: %v", err)
	}
	atHome.mu.Lock()
	defer atHome.mu.Unlock()
	if len(atHome.code) != 1 || len(atHome.inits) != 1 || len(atHome.calls) != 2 {
		t.Errorf("by home came %d codes, %d inits, %v", len(atHome.code), len(atHome.inits), atHome.calls)
	}
}
