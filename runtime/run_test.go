package runtime

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

type runFunc = func(context.Context, *function.Activation, function.Output) (function.Summary, error)

// answering returns a run that writes frames, "1hello" for stdout, and ends with sum.
func answering(sum function.Summary, frames ...string) runFunc {
	return func(_ context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
		for _, f := range frames {
			if err := out.Write(function.Stream(f[0]-'0'), []byte(f[1:])); err != nil {
				return function.Summary{Outcome: function.OutcomeCancelled}, nil
			}
		}
		return sum, nil
	}
}

func refusing(code function.Code, text string) runFunc {
	return func(context.Context, *function.Activation, function.Output) (function.Summary, error) {
		return function.Summary{}, function.Errorf(code, "%s", text)
	}
}

func outcome(o function.Outcome, text string) function.Summary {
	return function.Summary{Outcome: o, Error: text}
}

func TestRunAnswers(t *testing.T) {
	ok := okSummary()
	stream := ok
	stream.Stream = true
	cases := []struct {
		name           string
		run            runFunc
		status         int
		body           string
		stdout, stderr string
	}{
		{"object", answering(ok, `3{"a":1}`), 200, `{"a":1}`, "", ""},
		{"application error", answering(ok, `3{"error":"mine"}`), 200, `{"error":"mine"}`, "", ""},
		{"array", answering(ok, `3[1,2]`), 200, `[1,2]`, "", ""},
		{"spaces around", answering(ok, "3 \r\n\t{ } \n"), 200, " \r\n\t{ } \n", "", ""},
		{"in parts", answering(ok, `3{"a":`, `3`, `31}`), 200, `{"a":1}`, "", ""},
		{"big integer", answering(ok, `3{"n":12345678901234567890}`), 200, `{"n":12345678901234567890}`, "", ""},
		{"unicode", answering(ok, `3{"ü":"😀\u00e9"}`), 200, `{"ü":"😀\u00e9"}`, "", ""},
		{"stream", answering(stream, `3{"a":1}`, `3"b"`, `33`), 200, `{"items":[{"a":1},"b",3]}`, "", ""},
		{"empty stream", answering(stream), 200, `{"items":[]}`, "", ""},
		{"a string", answering(ok, `3"x"`), 502, `{"error":"The action did not return a dictionary or array."}`, "", ""},
		{"null", answering(ok, `3null`), 502, "did not return a dictionary", "", ""},
		{"nothing", answering(ok), 502, "did not return a dictionary", "", ""},
		{"logs", answering(ok, "1one\n", "2two\n", "1three\n", `3{}`), 200, `{}`, "one\nthree\n", "two\n"},
		{"partial lines", answering(ok, "1one", "2tw", "2o", `3{}`), 200, `{}`, "one\n", "two\n"},
		{"logs after the result", answering(ok, `3{}`, "1late"), 200, `{}`, "late\n", ""},
		{"many logs", answering(ok, "1"+strings.Repeat("x", 3*flushSize), `3{}`), 200, `{}`, strings.Repeat("x", 3*flushSize) + "\n", ""},
		{"crashed", answering(outcome(function.OutcomeCrashed, "exit status 3"), "2boom"), 502, "The action ended: exit status 3.", "", "boom\n"},
		{"timeout", answering(outcome(function.OutcomeTimeout, ""), "1slow"), 502, "time limit", "slow\n", ""},
		{"cancelled", answering(outcome(function.OutcomeCancelled, "")), 502, "cancelled", "", ""},
		{"too large", answering(outcome(function.OutcomeTooLarge, "17 bytes")), 502, "too large: 17 bytes", "", ""},
		{"lost", answering(function.Lost("connection reset"), "1half"), 502, "may have run", "half\n", ""},
		{"unknown outcome", answering(outcome("odd", "")), 502, "does not know", "", ""},
		{"above our limit", answering(ok, "3"+strings.Repeat("x", DefaultMaxResult+1)), 502, "above the limit", "", ""},
		{"no capacity", refusing(function.CodeNoCapacity, "no label gpu"), 502, "could not run: no label gpu", "", ""},
		{"busy", refusing(function.CodeBusy, "queue full"), 502, "queue full", "", ""},
		{"unreachable", refusing(function.CodeUnreachable, "refused"), 502, "refused", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t)
			g.init()
			g.host.onRun = c.run
			r := g.run(`{"value":{}}`)
			r.want(t, c.status, c.body)
			if c.status == 200 && r.body != c.body {
				t.Errorf("body %q, want %q byte for byte", r.body, c.body)
			}
			g.wantLogs(c.stdout+guard, c.stderr+guard)
		})
	}
}

// A refusal may be tried elsewhere by the platform only where no invoker loses
// the activation: once the container has answered a run.
func TestRunRefusedWhenWarm(t *testing.T) {
	cases := map[function.Code]int{
		function.CodeBusy: 503, function.CodeDraining: 503,
		function.CodeNoCapacity: 502, function.CodeUnreachable: 502, function.CodeTimeout: 502, function.CodeInternal: 502,
	}
	for code, want := range cases {
		g := newRig(t)
		g.init()
		g.host.onRun = refusing(code, "no")
		g.run(`{}`).want(t, 502, "no")
		g.host.onRun = echo
		g.run(`{}`).want(t, 200, `{}`)
		g.host.onRun = refusing(code, "no")
		g.run(`{}`).want(t, want, "no")
		g.wantLogs(strings.Repeat(guard, 3), strings.Repeat(guard, 3))
	}
}

func TestRunHeaders(t *testing.T) {
	g := newRig(t)
	g.init()
	r := g.run(`{}`)
	timing := r.header.Get("Server-Timing")
	if !strings.HasPrefix(timing, "function;dur=1.500, server;dur=2.001, runtime;dur=") {
		t.Errorf("Server-Timing %q", timing)
	}
	if r.header.Get("Whiskaway-Server") != "box" || r.header.Get("Whiskaway-Cold") != "" {
		t.Errorf("headers %v", r.header)
	}
	cold := okSummary()
	cold.Cold = true
	g.host.onRun = answering(cold, "3{}")
	if r := g.run(`{}`); r.header.Get("Whiskaway-Cold") != "true" {
		t.Errorf("headers %v", r.header)
	}
}

func TestRunBeforeInit(t *testing.T) {
	g := newRig(t)
	g.run(`{"value":{}}`).want(t, 502, "before it is initialized")
	g.wantLogs(guard, guard)
}

func TestPathsAndMethods(t *testing.T) {
	g := newRig(t)
	for _, path := range []string{"/", "/runs", "/run/", "/init/x"} {
		g.do("POST", path, "").want(t, 404, "nothing at this path")
	}
	for _, path := range []string{"/run", "/init"} {
		r := g.do("GET", path, "")
		r.want(t, 405, "must be POST")
		if r.header.Get("Allow") != "POST" {
			t.Errorf("Allow %q", r.header.Get("Allow"))
		}
	}
	g.wantLogs("", "")
}

func TestAlwaysTrue2BodiesPassUnchanged(t *testing.T) {
	g := newRig(t)
	g.init()
	for _, body := range []string{
		`{"value":[1,{"n":12345678901234567890,"x":1.0e+2}],"deadline":"1","extra":null} `,
		`{"value":{"text":"` + strings.Repeat("1 MB ", 1<<20/5) + `"}}`,
		`{"value":{"text":"` + strings.Repeat("é", 7<<20) + `"}}`,
	} {
		if r := g.run(body); r.status != 200 || r.body != body {
			t.Errorf("status %d, %d bytes came back of %d", r.status, len(r.body), len(body))
		}
	}
}

func TestRun20MB(t *testing.T) {
	g := newRig(t, func(c *Config) { c.MaxResult = 32 << 20 })
	g.init()
	body := `{"value":"` + strings.Repeat("x", 20<<20) + `"}`
	if r := g.run(body); r.status != 200 || r.body != body {
		t.Errorf("status %d, %d bytes came back of %d", r.status, len(r.body), len(body))
	}
}

func TestRunBodyRefused(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Body = function.BodyLimits{Memory: 10, Max: 20} })
	g.init()
	g.run(strings.Repeat("x", 21)).want(t, 413, "limit is 20")
	g.wantLogs(guard, guard)
	if _, runs := g.host.counts(); runs != 0 {
		t.Error("it ran")
	}
}

func TestRunDeadlineAndTrace(t *testing.T) {
	g := newRig(t)
	g.init()
	var act function.Activation
	g.host.onRun = func(ctx context.Context, a *function.Activation, out function.Output) (function.Summary, error) {
		act = *a
		return answering(okSummary(), "3{}")(ctx, a, out)
	}
	ahead := time.Now().Add(time.Hour).UnixMilli()
	g.run(fmt.Sprintf(`{"value":{"deadline":"5"},"deadline":"%d"}`, ahead)).want(t, 200, "{}")
	if act.Timeout <= 59*time.Minute || act.Timeout > time.Hour {
		t.Errorf("timeout %v, want an hour", act.Timeout)
	}
	for _, body := range []string{`{"value":{},"deadline":"1000"}`, `{"value":{}}`} {
		g.run(body).want(t, 200, "{}")
		if act.Timeout != 0 {
			t.Errorf("%s: timeout %v, want none", body, act.Timeout)
		}
	}
	req, _ := http.NewRequest("POST", g.url+"/run", strings.NewReader(`{}`))
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if act.Trace != req.Header.Get("traceparent") {
		t.Errorf("trace %q", act.Trace)
	}
}

func TestRunTimeoutTellsLimit(t *testing.T) {
	g := newRig(t)
	g.init()
	g.host.onRun = answering(outcome(function.OutcomeTimeout, ""))
	r := g.run(fmt.Sprintf(`{"deadline":"%d"}`, time.Now().Add(time.Hour).UnixMilli()))
	r.want(t, 502, "it had 3")
	r.want(t, 502, "milliseconds")
}

func TestRunCancelledWhenPlatformHangsUp(t *testing.T) {
	g := newRig(t)
	g.init()
	started, seen := make(chan struct{}), make(chan struct{})
	g.host.onRun = func(ctx context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
		close(started)
		<-ctx.Done()
		close(seen)
		return outcome(function.OutcomeCancelled, ""), nil
	}
	ctx, hangUp := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "POST", g.url+"/run", strings.NewReader(`{"value":{}}`))
	done := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req)
		done <- err
	}()
	<-started
	hangUp()
	if err := <-done; err == nil {
		t.Error("the request did not fail")
	}
	<-seen
	g.out.await(t, guard)
	g.err.await(t, guard)
}

func TestAlwaysTrue3LogsComeWhileItRuns(t *testing.T) {
	g := newRig(t)
	g.init()
	seen := make(chan struct{})
	g.host.onRun = func(_ context.Context, _ *function.Activation, out function.Output) (function.Summary, error) {
		out.Write(function.Stdout, []byte("hal"))
		<-seen
		out.Write(function.Stdout, []byte("f\nrest"))
		return okSummary(), out.Write(function.Result, []byte("{}"))
	}
	done := make(chan reply, 1)
	go func() { done <- g.run(`{}`) }()
	g.out.await(t, "hal")
	close(seen)
	(<-done).want(t, 200, "{}")
	g.wantLogs("half\nrest\n"+guard, guard)
}

func TestAlwaysTrue1NothingIsRepeatedThatMayHaveRun(t *testing.T) {
	for _, o := range []function.Outcome{function.OutcomeLost, function.OutcomeCrashed, function.OutcomeTimeout, function.OutcomeCancelled} {
		g := newRig(t)
		g.init()
		g.host.onRun = answering(outcome(o, ""))
		g.run(`{}`)
		if _, runs := g.host.counts(); runs != 1 {
			t.Errorf("%s: %d runs", o, runs)
		}
	}
}

func TestAlwaysTrue6HostThatForgotIsInitialisedAgain(t *testing.T) {
	for _, codeToo := range []bool{false, true} {
		g := newRig(t)
		g.init()
		g.host.forget(codeToo)
		g.run(`{"value":7}`).want(t, 200, `{"value":7}`)
		inits, runs := g.host.counts()
		if inits != 2 || runs != 1 {
			t.Errorf("%d inits, %d runs", inits, runs)
		}
		if g.host.specs[0].ID() != g.host.specs[1].ID() {
			t.Error("the function has another ID now")
		}
		g.wantLogs(guard, guard)
	}
}

func TestAlwaysTrue8ForgottenFunctionIsStartedOnce(t *testing.T) {
	g := newRig(t, func(c *Config) { c.AllowConcurrent = true })
	g.init()
	for round := range 3 {
		g.host.forget(true)
		parallel(16, func(i int) {
			body := fmt.Sprintf(`{"id":%d}`, i)
			g.run(body).want(t, 200, body)
		})
		if inits, _ := g.host.counts(); inits != round+2 {
			t.Errorf("%d inits in %d rounds", inits, round+1)
		}
	}
}

func TestRevivalFails(t *testing.T) {
	g := newRig(t)
	g.init()
	g.host.forget(false)
	g.host.onInit = func(context.Context, function.Spec) error {
		return &function.Error{Code: function.CodeInitFailed, Message: "it broke", Logs: "why\n"}
	}
	g.run(`{}`).want(t, 502, "it broke")
	g.wantLogs(guard, "why\n"+guard)
	g.host.onInit = func(context.Context, function.Spec) error { return nil }
	g.run(`{}`).want(t, 200, `{}`)
}

// A run whose time limit ends during the start gives up; the start goes on, and
// the next run finds it.
func TestRevivalOutlivesItsRun(t *testing.T) {
	g := newRig(t)
	g.init()
	g.host.forget(false)
	ready := make(chan struct{})
	g.host.onInit = func(ctx context.Context, _ function.Spec) error {
		<-ready
		return ctx.Err()
	}
	g.run(fmt.Sprintf(`{"deadline":"%d"}`, time.Now().Add(100*time.Millisecond).UnixMilli())).want(t, 502, "time limit")
	close(ready)
	g.run(`{}`).want(t, 200, `{}`)
	if inits, runs := g.host.counts(); inits != 2 || runs != 1 {
		t.Errorf("%d inits, %d runs", inits, runs)
	}
}

func TestCloseEndsRevival(t *testing.T) {
	g := newRig(t)
	g.init()
	g.host.forget(false)
	began := make(chan struct{})
	g.host.onInit = func(ctx context.Context, _ function.Spec) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}
	done := make(chan reply, 1)
	go func() { done <- g.run(`{}`) }()
	<-began
	if err := g.runtime.Close(t.Context()); err != nil {
		t.Error(err)
	}
	(<-done).want(t, 502, "could not run")
	g.run(`{}`).want(t, 502, "about to end")
	g.do("POST", "/init", goodInit).want(t, 502, "about to end")
}

func TestCloseEndsInit(t *testing.T) {
	g := newRig(t)
	began := make(chan struct{})
	g.host.onInit = func(ctx context.Context, _ function.Spec) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}
	done := make(chan reply, 1)
	go func() { done <- g.do("POST", "/init", goodInit) }()
	<-began
	if err := g.runtime.Close(t.Context()); err != nil {
		t.Error(err)
	}
	(<-done).want(t, 502, "error")
}

// Each answer carries its question's id, and no line is torn.
func TestRunsInParallel(t *testing.T) {
	g := newRig(t, func(c *Config) { c.AllowConcurrent = true })
	g.init()
	g.host.onRun = func(ctx context.Context, act *function.Activation, out function.Output) (function.Summary, error) {
		body, _ := act.Body.Bytes()
		line := append([]byte("ran "), body...)
		out.Write(function.Stdout, append(line, '\n'))
		return echo(ctx, act, out)
	}
	const callers, each = 16, 25
	parallel(callers, func(i int) {
		for n := range each {
			body := fmt.Sprintf(`{"id":"%d-%d"}`, i, n)
			if r := g.run(body); r.status != 200 || r.body != body {
				t.Errorf("asked %s, got %d %s", body, r.status, r.body)
			}
		}
	})
	lines := map[string]int{}
	for line := range strings.Lines(g.out.take()) {
		lines[line]++
	}
	if lines[guard] != callers*each || len(lines) != callers*each+1 {
		t.Errorf("%d guard lines and %d others", lines[guard], len(lines)-1)
	}
	if got := strings.Count(g.err.take(), guard); got != callers*each {
		t.Errorf("%d guard lines on stderr", got)
	}
}

func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func TestCloseStopsTheLease(t *testing.T) {
	before := runtime.NumGoroutine()
	host, dir := newFakeHost(), t.TempDir()
	r := New(Config{Local: func(context.Context, map[string]string) (function.Host, error) { return host, nil }, Kind: "python:3", Dir: dir})
	req, _ := http.NewRequest("POST", "/init", strings.NewReader(goodInit))
	w := &discardAnswer{header: http.Header{}}
	r.serve(w, req)
	if w.status != 200 {
		t.Fatalf("/init: %d", w.status)
	}
	for range 2 { // the second does nothing
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if host.stopped != 1 || len(host.leases) != 0 {
		t.Errorf("stopped %d times", host.stopped)
	}
	if files := kept(dir); len(files) != 0 {
		t.Error("the code is left")
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) { // one that was waited for may take a moment to be gone
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}

// A discardAnswer is an http.ResponseWriter that keeps the status only.
type discardAnswer struct {
	header http.Header
	status int
}

func (d *discardAnswer) Header() http.Header         { return d.header }
func (d *discardAnswer) WriteHeader(status int)      { d.status = status }
func (d *discardAnswer) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkRun(b *testing.B) {
	host := newFakeHost()
	r := New(Config{Local: func(context.Context, map[string]string) (function.Host, error) { return host, nil }, Kind: "python:3", Dir: b.TempDir(), AllowConcurrent: true})
	defer r.Close(context.Background())
	req, _ := http.NewRequest("POST", "/init", strings.NewReader(goodInit))
	r.serve(&discardAnswer{header: http.Header{}}, req)
	const body = `{"value":{"name":"x","id":17},"namespace":"guest","action_name":"/guest/hello","activation_id":"0123456789abcdef0123456789abcdef","deadline":"1700000000000"}`
	b.ReportAllocs()
	for b.Loop() {
		req := &http.Request{Method: "POST", URL: req.URL, Header: http.Header{}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
		runReq := req.Clone(context.Background())
		runReq.URL.Path = "/run"
		w := &discardAnswer{header: http.Header{}}
		r.serve(w, runReq)
		if w.status != 200 {
			b.Fatal(w.status)
		}
	}
}
