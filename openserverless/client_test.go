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
	"strings"
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
	c, err := NewClient(ClientConfig{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n := len(c.codes.files); n != 0 {
			t.Errorf("%d codes are left after Close", n)
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
		if r.Header.Get("Authorization") != "" || r.Header.Get("Content-Length") != fmt.Sprint(len(r.Body)) || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Connection") != "close" {
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
	if n := len(c.codes.files); n != 0 {
		t.Errorf("%d codes are left", n)
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
	if n := len(c.codes.files); n != 0 {
		t.Errorf("%d codes are left", n)
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(502)
		io.WriteString(w, `{"error":"cannot start action: no ack"}`)
	}))
	defer refusing.Close()
	proxy := httptest.NewServer(http.NotFoundHandler())
	defer proxy.Close()
	ours := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(401)
		io.WriteString(w, `{"error":"a token is missing"}`)
	}))
	defer ours.Close()
	for url, want := range map[string]function.Code{refusing.URL: function.CodeInitFailed, ours.URL: function.CodeBadRequest, proxy.URL: function.CodeUnreachable, "http://" + closedAddress(t): function.CodeUnreachable} {
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

// Code stays readable for who reads it, and is gone for all others.
func TestCodeThatIsDroppedWhileItIsRead(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1")
	key := codeKey{"guest", function.DigestOf([]byte("x"))}
	if err := c.PutCode(t.Context(), key.namespace, key.digest, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	code, done, err := c.codes.open(key)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	c.codes.keep(key, nil)
	if text, err := io.ReadAll(code); string(text) != "x" {
		t.Errorf("%q, %v", text, err)
	}
	if _, _, err := c.codes.open(key); function.CodeOf(err) != function.CodeCodeMissing {
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
