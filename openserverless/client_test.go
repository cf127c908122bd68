package openserverless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/test/fakeopenserverless"
)

// echo answers with what the action is, and what it was asked.
func echo(a fakeopenserverless.Action, value json.RawMessage) fakeopenserverless.Result {
	text, _ := json.Marshal(map[string]any{"main": a.Main, "env": a.Env, "code": a.Code, "binary": a.Binary, "value": value})
	return fakeopenserverless.Result{Response: text, Out: "out\n", Err: "err\n"}
}

// fakeServer starts one, and a client of it.
func fakeServer(t *testing.T, s *fakeopenserverless.Server) (*Client, *httptest.Server) {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return newTestClient(t, h.URL), h
}

func newTestClient(t *testing.T, url string) *Client {
	t.Helper()
	dir := t.TempDir() + "/code"
	c, err := NewClient(ClientConfig{URL: url, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("code is left after Close")
		}
	})
	return c
}

func specOf(code string) function.Spec {
	return function.Spec{Namespace: "guest", Action: "hello", Kind: "python:3", Main: "main", Code: function.DigestOf([]byte(code)), Env: map[string]string{"X": "ü<"}}
}

// ready makes a function ready, and returns its id.
func ready(t *testing.T, c *Client, spec function.Spec, code, lease string) function.ID {
	t.Helper()
	id, err := function.InitWithCode(t.Context(), c, spec, function.Lease{ID: lease, TTL: time.Minute}, func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(code)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// frames is an Output that keeps what came on each stream.
type frames [4]string

func (f *frames) Write(s function.Stream, p []byte) error {
	f[s] += string(p)
	return nil
}

func runOn(c *Client, ctx context.Context, id function.ID, lease, body string, timeout time.Duration) (frames, function.Summary, error) {
	var f frames
	act := &function.Activation{Body: function.BytesBody([]byte(body)), Timeout: timeout}
	sum, err := c.Run(ctx, id, function.Claim{Lease: lease}, act, &f)
	return f, sum, err
}

func TestClientSpeaksTheirProtocol(t *testing.T) {
	for _, byID := range []bool{false, true} {
		for name, spec := range map[string]struct {
			code   string
			binary bool
		}{
			"text":   {"def main(a):\n\treturn \"\\ü\u2028</b>\x01\"\r\n", false},
			"binary": {"\x00\xff\"\\" + repeat("x", 3*codeChunk/2), true},
			"long":   {repeat("ä\n", codeChunk), false},
		} {
			t.Run(fmt.Sprint(name, byID), func(t *testing.T) {
				s := &fakeopenserverless.Server{ByID: byID, Run: echo}
				c, _ := fakeServer(t, s)
				sp := specOf(spec.code)
				sp.Binary, sp.APIHost = spec.binary, "https://api"
				id := ready(t, c, sp, spec.code, "l")
				if id != sp.ID() {
					t.Error("the id is not the Spec's")
				}
				body := `{"value":{"n":12345678901234567890,"u":"\u00fc"},"activation_id":"1","actionCodeHash":"not this"}`
				f, sum, err := runOn(c, t.Context(), id, "l", body, 0)
				if err != nil || sum.Outcome != function.OutcomeOK || f[1] != "out\n" || f[2] != "err\n" {
					t.Fatalf("%v %+v %q", err, sum, f)
				}
				var got struct {
					Main, Code string
					Binary     bool
					Env        map[string]string
					Value      json.RawMessage
				}
				if err := json.Unmarshal([]byte(f[3]), &got); err != nil {
					t.Fatal(err)
				}
				if got.Main != "main" || got.Binary != spec.binary || got.Env["X"] != "ü<" || got.Env["__OW_ACTION_NAME"] != "/guest/hello" || got.Env["__OW_API_HOST"] != "https://api" {
					t.Errorf("%+v", got)
				}
				if !spec.binary && got.Code != spec.code {
					t.Errorf("the code arrived as %q", got.Code[:min(100, len(got.Code))])
				}
				if string(got.Value) != `{"n":12345678901234567890,"u":"\u00fc"}` {
					t.Errorf("the value arrived as %s", got.Value)
				}
				checkRequests(t, s.Requests())
			})
		}
	}
}

// checkRequests looks at the /init and the /run of a client.
func checkRequests(t *testing.T, all []fakeopenserverless.Request) {
	t.Helper()
	if len(all) != 2 || all[0].Path != "/init" || all[1].Path != "/run" {
		t.Fatalf("%d requests", len(all))
	}
	for _, r := range all {
		if r.Header.Get("Authorization") != "" || r.Header.Get("Content-Length") != fmt.Sprint(len(r.Body)) || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", r.Path, r.Header)
		}
	}
	if !strings.HasPrefix(all[0].Body, `{"proxiedActionID":"`) || !strings.Contains(all[1].Body, `"activation_id":"1"`) || strings.Contains(all[1].Body, "not this") {
		t.Errorf("%.100s\n%s", all[0].Body, all[1].Body)
	}
}

func TestEachLeaseHasItsID(t *testing.T) {
	s := &fakeopenserverless.Server{Run: echo}
	c, _ := fakeServer(t, s)
	id := ready(t, c, specOf("x"), "x", "l1")
	ready(t, c, specOf("x"), "x", "l1") // cheap
	ready(t, c, specOf("x"), "x", "l2")
	all := s.Requests()
	if len(all) != 2 || all[0].Body == all[1].Body {
		t.Errorf("%d inits", len(all))
	}
	if err := c.Renew(t.Context(), id, function.Claim{Lease: "l1"}, time.Minute); err != nil {
		t.Error(err)
	}
	if err := c.Renew(t.Context(), id, function.Claim{Lease: "l3"}, time.Minute); function.CodeOf(err) != function.CodeUnknownFunction {
		t.Error(err)
	}
	for _, lease := range []string{"l3", "l1", "l1"} {
		if err := c.Stop(t.Context(), id, function.Claim{Lease: lease}); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := runOn(c, t.Context(), id, "l1", "{}", 0); function.CodeOf(err) != function.CodeUnknownFunction {
		t.Error(err)
	}
	if _, sum, err := runOn(c, t.Context(), id, "l2", "{}", 0); err != nil || sum.Outcome != function.OutcomeOK {
		t.Error(sum, err)
	}
	if err := c.Stop(t.Context(), id, function.Claim{Lease: "l2"}); err != nil || s.Actions() != 0 {
		t.Errorf("%v, %d actions are left", err, s.Actions())
	}
	if files, _ := os.ReadDir(c.codes.dir); len(files) != 0 {
		t.Errorf("%d codes are left", len(files))
	}
}

// A server that was restarted gets its functions again.
func TestTheirServerForgets(t *testing.T) {
	s := &fakeopenserverless.Server{Run: echo}
	c, _ := fakeServer(t, s)
	id := ready(t, c, specOf("x"), "x", "l")
	s.Forget()
	if _, _, err := runOn(c, t.Context(), id, "l", "{}", 0); function.CodeOf(err) != function.CodeUnknownFunction {
		t.Fatal(err)
	}
	ready(t, c, specOf("x"), "x", "l")
	if _, sum, err := runOn(c, t.Context(), id, "l", "{}", 0); err != nil || sum.Outcome != function.OutcomeOK {
		t.Error(sum, err)
	}
}

// What may have run is told by a Summary, and never by an error.
func TestRunsThatMayHaveStarted(t *testing.T) {
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		outcome function.Outcome
		text    string
	}{
		"died": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"command exited"}`)
		}, function.OutcomeCrashed, "command exited"},
		"no object": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			io.WriteString(w, `{"error":"did not return"}`)
		}, function.OutcomeCrashed, "did not return"},
		"a proxy":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); io.WriteString(w, `<html>`) }, function.OutcomeLost, "502"},
		"busy proxy":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, function.OutcomeLost, "503"},
		"a redirect":  {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", 307) }, function.OutcomeLost, "307"},
		"not JSON":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `oh`) }, function.OutcomeLost, "not a JSON object"},
		"empty":       {func(http.ResponseWriter, *http.Request) {}, function.OutcomeLost, "not a JSON object"},
		"no response": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"out":""}`) }, function.OutcomeLost, "no response"},
		"odd logs":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"response":{},"out":7}`) }, function.OutcomeLost, "not a text"},
		"cut":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, function.OutcomeLost, "may have started"},
		"cut answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"response":{}`)
		}, function.OutcomeLost, "may have started"},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			s := &fakeopenserverless.Server{Run: echo}
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/run" {
					s.ServeHTTP(w, r)
					return
				}
				runs++
				io.Copy(io.Discard, r.Body)
				c.answer(w, r)
			}))
			defer h.Close()
			client := newTestClient(t, h.URL)
			id := ready(t, client, specOf("x"), "x", "l")
			f, sum, err := runOn(client, t.Context(), id, "l", "{}", 0)
			if err != nil || sum.Outcome != c.outcome || !strings.Contains(sum.Error, c.text) || f != (frames{}) || runs != 1 {
				t.Errorf("%v %+v %q, sent %d times", err, sum, f, runs)
			}
		})
	}
}

// slow is a handler whose runs wait until their client has left.
func slow(begun chan<- struct{}, left chan<- struct{}) http.HandlerFunc {
	s := &fakeopenserverless.Server{Run: echo}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/run" {
			s.ServeHTTP(w, r)
			return
		}
		io.Copy(io.Discard, r.Body)
		close(begun)
		<-r.Context().Done()
		close(left)
	}
}

func TestTimeLimitAndCancelEndTheConnection(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		begun, left := make(chan struct{}), make(chan struct{})
		h := httptest.NewServer(slow(begun, left))
		c := newTestClient(t, h.URL)
		id := ready(t, c, specOf("x"), "x", "l")
		ctx, cancel := context.WithCancel(t.Context())
		limit, want := 20*time.Millisecond, function.OutcomeTimeout
		var wg sync.WaitGroup
		if cancelled {
			limit, want = 0, function.OutcomeCancelled
			wg.Go(func() { <-begun; cancel() })
		}
		_, sum, err := runOn(c, ctx, id, "l", "{}", limit)
		if err == nil && sum.Outcome != want || err != nil && function.CodeOf(err) != function.CodeTimeout {
			t.Errorf("cancelled %v: %v %+v", cancelled, err, sum)
		}
		wg.Wait()
		if cancelled {
			<-left
		}
		cancel()
		h.Close()
	}
}

func TestRunsThatCertainlyNeverStarted(t *testing.T) {
	c, h := fakeServer(t, &fakeopenserverless.Server{Run: echo})
	id := ready(t, c, specOf("x"), "x", "l")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := runOn(c, ended, id, "l", "{}", 0); function.CodeOf(err) != function.CodeCancelled {
		t.Errorf("a caller who has left: %v", err)
	}
	if _, _, err := runOn(c, t.Context(), id, "l", "{}", -1); function.CodeOf(err) != function.CodeTimeout {
		t.Errorf("a time limit that is over: %v", err)
	}
	for _, body := range []string{"", "[]", "{", "7"} {
		if _, _, err := runOn(c, t.Context(), id, "l", body, 0); function.CodeOf(err) != function.CodeBadRequest {
			t.Errorf("the body %q: %v", body, err)
		}
	}
	h.Close()
	if _, _, err := runOn(c, t.Context(), id, "l", "{}", 0); function.CodeOf(err) != function.CodeUnreachable {
		t.Errorf("a server that is away: %v", err)
	}
}

func TestClientInitRefuses(t *testing.T) {
	c, _ := fakeServer(t, &fakeopenserverless.Server{Run: echo})
	needs := specOf("x")
	needs.Require.Memory = 1 << 30
	bad := specOf("x")
	bad.Main = ""
	for want, spec := range map[string]function.Spec{"no needs": needs, "main is missing": bad, "upload it first": specOf("x")} {
		if _, err := c.Init(t.Context(), spec, function.Lease{ID: "l"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := c.PutCode(t.Context(), "guest", function.DigestOf([]byte("y")), strings.NewReader("x")); function.CodeOf(err) != function.CodeBadRequest {
		t.Error(err)
	}
	if err := c.PutCode(t.Context(), "guest", function.DigestOf([]byte("x")), io.MultiReader(strings.NewReader("x"), errReader{})); err == nil {
		t.Error("code that was cut was taken")
	}
	if files, _ := os.ReadDir(c.codes.dir); len(files) != 0 {
		t.Errorf("%d codes are left", len(files))
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(502)
		io.WriteString(w, `{"error":"cannot start action: no ack"}`)
	}))
	defer refusing.Close()
	proxy := httptest.NewServer(http.NotFoundHandler())
	defer proxy.Close()
	for url, want := range map[string]function.Code{refusing.URL: function.CodeInitFailed, proxy.URL: function.CodeUnreachable, "http://" + closedAddress(t): function.CodeUnreachable} {
		c := newTestClient(t, url)
		if err := c.PutCode(t.Context(), "guest", function.DigestOf([]byte("x")), strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Init(t.Context(), specOf("x"), function.Lease{ID: "l"}); function.CodeOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("cut") }

func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

func TestOwnLogs(t *testing.T) {
	g := guard + "\n"
	for text, want := range map[string]string{"": "", g: "", "a\n" + g: "a\n", "old\n" + g + "a\n" + g: "a\n", "no end": "no end", g + g: ""} {
		if got := ownLogs(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestPlainHTTPIsForListedHosts(t *testing.T) {
	for _, c := range []struct {
		url   string
		plain []string
		ok    bool
	}{
		{"https://gpu.example.com", nil, true},
		{"http://127.0.0.1:8080/path", nil, true},
		{"http://localhost", nil, true},
		{"http://10.0.0.5:8080", nil, false},
		{"http://10.0.0.5:8080", []string{""}, false},
		{"http://10.0.0.5:8080", []string{"x", " 10.0.0.5"}, true},
		{"http://10.0.0.5:8080", []string{"10.0.0.5:8080"}, true},
		{"http://10.0.0.5:8080", []string{"10.0.0.5:80", "10.0.0"}, false},
		{"http://10.0.0.5", []string{"10.0.0.5:80"}, true},
		{"http://GPU.local", []string{"gpu.LOCAL"}, true},
		{"http://[fd00::1]:80", []string{"[fd00::1]"}, true},
		{"http://[fd00::1]:8080", []string{"[fd00::1]:8080"}, true},
		{"ftp://x", []string{"x"}, false}, {"https://u:secret@x", nil, false}, {"x", nil, false},
	} {
		_, err := NewClient(ClientConfig{URL: c.url, PlainHTTP: c.plain})
		if (err == nil) != c.ok || err != nil && (function.CodeOf(err) != function.CodeBadRequest || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s with %q: %v", c.url, c.plain, err)
		}
	}
	_, err := NewClient(ClientConfig{URL: "http://10.0.0.5:8080"})
	if err == nil || !strings.Contains(err.Error(), "WHISKAWAY_PLAIN_HTTP=10.0.0.5:8080") {
		t.Errorf("no advice: %v", err)
	}
}

func TestProbe(t *testing.T) {
	answer := func(status int, version string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/p/healthz" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
			}
			if version != "" {
				w.Header().Set("Whiskaway-Version", version)
			}
			w.WriteHeader(status)
		}
	}
	for _, c := range []struct {
		handler http.HandlerFunc
		want    function.Protocol
	}{
		{answer(200, "1"), function.ProtocolWhiskaway}, {answer(503, "1"), function.ProtocolWhiskaway}, {answer(200, ""), function.ProtocolOpenServerless},
		{answer(502, ""), ""}, {answer(404, ""), ""}, {answer(301, ""), ""}, {answer(401, ""), ""},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
	} {
		for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
			h := start(c.handler)
			got, err := Probe(t.Context(), h.URL+"/p/", nil)
			h.Close()
			if got != c.want || (err == nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), "protocol=openserverless") {
				t.Errorf("got %q %v, want %q", got, err, c.want)
			}
		}
	}
	if _, err := Probe(t.Context(), "http://"+closedAddress(t), nil); function.CodeOf(err) != function.CodeUnreachable {
		t.Error(err)
	}
	if _, err := Probe(t.Context(), "http://10.0.0.5", nil); function.CodeOf(err) != function.CodeBadRequest {
		t.Error(err)
	}
}

// A certificate that nobody vouches for is no server of theirs, whatever the probe says.
func TestClientChecksCertificates(t *testing.T) {
	s := &fakeopenserverless.Server{Run: echo}
	h := httptest.NewTLSServer(s)
	defer h.Close()
	c := newTestClient(t, h.URL)
	if err := c.PutCode(t.Context(), "guest", function.DigestOf([]byte("x")), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Init(t.Context(), specOf("x"), function.Lease{ID: "l"}); function.CodeOf(err) != function.CodeUnreachable || len(s.Requests()) != 0 {
		t.Error(err)
	}
	c.transport = newTransport(h.Client().Transport.(*http.Transport).TLSClientConfig)
	if _, err := c.Init(t.Context(), specOf("x"), function.Lease{ID: "l"}); err != nil {
		t.Error(err)
	}
}

func TestClientWatch(t *testing.T) {
	c, _ := fakeServer(t, &fakeopenserverless.Server{Run: echo})
	enough := errors.New("enough")
	if err := c.Watch(t.Context(), func(s function.Status) error {
		if len(s.Servers) != 1 || s.Servers[0].Name == "" {
			t.Errorf("%+v", s)
		}
		return enough
	}); err != enough {
		t.Error(err)
	}
}
