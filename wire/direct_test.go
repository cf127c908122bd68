package wire

import (
	"context"
	"net"
	"net/http"
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
	f := &faceOfOurs{t: t, addr: "127.0.0.1:0", tls: Server{TLS: config}, token: Token{Secret: NewSecret(RoleClient), Fingerprint: authority.Fingerprint()}}
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
	handler := NewHandler(HandlerConfig{Host: named("directly"), Auth: WithClients(roleTokens{}, f.token)})
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
		from string
		want string // in the error; empty: none
	}{
		{Advertised{}, "192.0.2.1:5", ""},
		{Advertised{"https://gpu.example.com:8080", good}, "192.0.2.1:5", ""},
		{Advertised{"http://127.0.0.1:8080", good}, "127.0.0.1:5", ""},
		{Advertised{"http://127.0.0.1:8080", good}, "192.0.2.1:5", "another machine"},
		{Advertised{"http://127.0.0.1:8080/path", good}, "127.0.0.1:5", "another machine"},
		{Advertised{"http://gpu.example.com:8080", good}, "192.0.2.1:5", "plain http"},
		{Advertised{"https://gpu.example.com:8080", ""}, "192.0.2.1:5", "token"},
		{Advertised{"gpu.example.com", good}, "192.0.2.1:5", "URL"},
	} {
		err := test.a.checkFrom(test.from)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s from %s: %v, want %q", test.a.URL, test.from, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the token is told: %v", err)
		}
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
		d.good.Store(true)    // nobody has noticed yet
		d.dialled.Reconnect() // code that was begun on an old connection could not go another way
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
