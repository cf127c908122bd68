package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/invoker"
)

// A house is a platform with a real listener and real child processes.
type house struct {
	t    testing.TB
	p    *Platform
	dir  string
	url  string
	auth [2]string
	done func()
}

// open starts a platform in dir; change may alter its configuration.
func open(t testing.TB, dir string, change func(*Config)) *house {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	driver, err := invoker.NewProcess(invoker.ProcessConfig{
		Command: []string{exe}, Env: []string{fakeVariable + "=1"}, APIHost: "http://api.test", Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: dir, Driver: driver, Log: log}
	if change != nil {
		change(&cfg)
	}
	p, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p.Handler())
	path, err := p.WriteProps(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, p: p, dir: dir, url: srv.URL, auth: authOf(t, path)}
	closed := false
	h.done = func() {
		if closed {
			return
		}
		closed = true
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		srv.Close()
	}
	t.Cleanup(h.done)
	return h
}

// containers returns how many containers are warm, and how many there are besides.
func (h *house) containers() (idle, busy int) {
	c := h.p.Status().Containers
	return c.Idle + c.Paused, c.Starting + c.Busy + c.Leaving
}

func authOf(t testing.TB, path string) [2]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, auth, _ := strings.Cut(string(data), "AUTH=")
	uuid, key, ok := strings.Cut(strings.TrimSpace(auth), ":")
	if !ok || len(key) != 64 {
		t.Fatalf("%s has no key of 64 characters", path)
	}
	return [2]string{uuid, key}
}

// A response is what the API answered.
type response struct {
	status int
	header http.Header
	body   []byte
}

// call asks the API; body is JSON, or empty.
func (h *house) call(method, path, body string) response {
	h.t.Helper()
	r := h.request(method, path, body)
	r.SetBasicAuth(h.auth[0], h.auth[1])
	return h.send(r)
}

func (h *house) request(method, path, body string) *http.Request {
	h.t.Helper()
	r, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

func (h *house) send(r *http.Request) response {
	h.t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response{res.StatusCode, res.Header, data}
}

const ns = "/api/v1/namespaces/_/"

// want fails unless the status is status, and returns the body as JSON.
func (h *house) want(status int, method, path, body string) map[string]any {
	h.t.Helper()
	return h.wantJSON(status, h.call(method, path, body))
}

func (h *house) wantJSON(status int, res response) map[string]any {
	h.t.Helper()
	if res.status != status {
		h.t.Fatalf("status %d, want %d; body: %s", res.status, status, res.body)
	}
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(res.body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		h.t.Fatalf("not a JSON object: %v: %s", err, res.body)
	}
	return v
}

// action creates an action whose code are words for the fake; limits is JSON or empty.
func (h *house) action(name, code, limits string) {
	h.t.Helper()
	if limits == "" {
		limits = "{}"
	}
	body, _ := json.Marshal(map[string]any{
		"exec": map[string]any{"kind": "python:3", "code": code}, "limits": json.RawMessage(limits),
	})
	h.want(200, "PUT", ns+"actions/"+name+"?overwrite=true", string(body))
}

// invoke returns the record of a blocking invocation.
func (h *house) invoke(status int, name, args string) map[string]any {
	h.t.Helper()
	return h.want(status, "POST", ns+"actions/"+name+"?blocking=true", args)
}

// at walks into JSON: at(v, "response", "result").
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func logsOf(record map[string]any) (lines []string) {
	list, _ := record["logs"].([]any)
	for _, l := range list {
		lines = append(lines, l.(string))
	}
	return lines
}

func annotation(record map[string]any, key string) any {
	list, _ := record["annotations"].([]any)
	for _, a := range list {
		if at(a, "key") == key {
			return at(a, "value")
		}
	}
	return nil
}

// eventually waits until ok is true, and fails after ten seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came: %s", what)
		}
	}
}
