package wire

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A fakeHost is a Host without any function: its runs are what run says.
type fakeHost struct {
	mu     sync.Mutex
	code   map[string]string // "namespace digest": bytes
	inits  []function.Spec
	leases []function.Lease
	calls  []string // "renew …", "stop …"
	claims []function.Claim

	fail error // what Init, Renew, Stop, PutCode and Watch return, unless nil
	run  func(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error)
	name string
	// change makes Watch report again; nil: time does.
	change chan struct{}
}

func (f *fakeHost) PutCode(_ context.Context, namespace string, digest function.Digest, code io.Reader) error {
	if f.fail != nil {
		return f.fail
	}
	text, err := io.ReadAll(code)
	if err != nil {
		return err
	}
	if function.DigestOf(text) != digest {
		return function.Errorf(function.CodeBadRequest, "the digest is another")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.code == nil {
		f.code = map[string]string{}
	}
	f.code[namespace+" "+digest.String()] = string(text)
	return nil
}

func (f *fakeHost) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	if f.fail != nil {
		return function.ID{}, f.fail
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.code[spec.Namespace+" "+spec.Code.String()]; !ok {
		return function.ID{}, function.Errorf(function.CodeCodeMissing, "the code is missing")
	}
	f.inits = append(f.inits, spec)
	f.leases = append(f.leases, lease)
	return spec.ID(), nil
}

func (f *fakeHost) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	f.mu.Lock()
	f.claims = append(f.claims, claim)
	f.mu.Unlock()
	if f.run != nil {
		return f.run(ctx, id, claim, act, out)
	}
	return echo(ctx, id, claim, act, out)
}

// echo answers with the body.
func echo(_ context.Context, _ function.ID, _ function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	text, err := act.Body.Bytes()
	if err != nil {
		return function.Summary{}, err
	}
	if err := out.Write(function.Result, text); err != nil {
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}
	return function.Summary{Outcome: function.OutcomeOK, Server: "fake"}, nil
}

func (f *fakeHost) Renew(_ context.Context, id function.ID, claim function.Claim, ttl time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "renew "+id.String()+" "+claim.Lease+" "+claim.Namespace+" "+ttl.String())
	return f.fail
}

func (f *fakeHost) Stop(_ context.Context, id function.ID, claim function.Claim) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "stop "+id.String()+" "+claim.Lease+" "+claim.Namespace)
	return f.fail
}

func (f *fakeHost) Watch(ctx context.Context, report func(function.Status) error) error {
	if f.fail != nil {
		return f.fail
	}
	for n := int64(1); ; n++ {
		s := function.Status{Servers: []function.ServerStatus{{ID: "1", Name: f.name, Uptime: n}}}
		if err := report(s); err != nil {
			return err
		}
		var beat <-chan time.Time
		if f.change == nil {
			beat = time.After(function.StatusInterval)
		}
		select {
		case <-f.change:
		case <-beat:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A recorder is an Output that keeps everything.
type recorder struct {
	mu     sync.Mutex
	frames []string // "stream:payload"
	seen   chan string
}

func (r *recorder) Write(s function.Stream, p []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	frame := string('0'+rune(s)) + ":" + string(p)
	r.frames = append(r.frames, frame)
	if r.seen != nil {
		r.seen <- frame
	}
	return nil
}

func (r *recorder) text() string { return strings.Join(r.frames, "|") }

// noLeaks fails the test when goroutines are left after its cleanups.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(10 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				var stacks bytes.Buffer
				buf := make([]byte, 1<<20)
				stacks.Write(buf[:runtime.Stack(buf, true)])
				t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks.String())
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// serve starts a server for handler on a real socket and returns its address.
// The test's end waits for it.
func serve(t testing.TB, handler http.Handler, s Server) string {
	t.Helper()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, handler, s)
}

func serveOn(t testing.TB, ln net.Listener, handler http.Handler, s Server) string {
	t.Helper()
	s.Handler = handler
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if h, ok := handler.(*Handler); ok {
			h.Close()
		}
	})
	return ln.Addr().String()
}

const testSecret = "wa_test_secret"

// serveHost serves host with one token, and returns a client of it.
func serveHost(t testing.TB, host function.Host) (*Client, string) {
	t.Helper()
	addr := serve(t, NewHandler(HandlerConfig{Host: host, Auth: Static(Token{Secret: testSecret})}), Server{})
	return dialTo(t, addr, testSecret), addr
}

func dialTo(t testing.TB, addr, token string) *Client {
	t.Helper()
	c, err := NewClient(ClientConfig{URL: "http://" + addr, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func testSpec(code string) function.Spec {
	return function.Spec{
		Namespace: "guest", Action: "hello", Kind: "python:3", Main: "main", Code: function.DigestOf([]byte(code)),
		Env: map[string]string{"A": "ü"}, Require: function.Requirements{Labels: []string{"gpu"}},
	}
}

func activation(body string) *function.Activation {
	return &function.Activation{Body: function.BytesBody([]byte(body))}
}

var testClaim = function.Claim{Lease: "l1"}

// within fails the test when nothing comes from c for a long while.
func within[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited too long for %s", what)
		panic("not reached")
	}
}
