package openserverless

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// A rig is a Face over a fake host.
type rig struct {
	t    *testing.T
	host *fakeHost
	face *Face
	dir  string
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	g := &rig{t: t, host: newFakeHost(), dir: t.TempDir()}
	g.restart(change...)
	return g
}

// restart makes a new Face over the same directory and host.
func (g *rig) restart(change ...func(*Config)) {
	g.t.Helper()
	cfg := Config{Host: g.host, Namespace: "ns", Kind: "python:3", Dir: g.dir}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if g.face, err = NewFace(cfg); err != nil {
		g.t.Fatal(err)
	}
}

// A reply is an answer, read whole.
type reply struct {
	status int
	body   string
}

// do sends a request. The answer must have a length and be JSON, and an error
// must say something.
func (g *rig) do(method, path, body string) reply {
	g.t.Helper()
	rec := httptest.NewRecorder()
	g.face.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
	if rec.Header().Get("Content-Length") != strconv.Itoa(rec.Body.Len()) || !json.Valid(rec.Body.Bytes()) {
		g.t.Errorf("%s %s: length %s, body %s", method, path, rec.Header().Get("Content-Length"), rec.Body)
	}
	var e struct{ Error string }
	json.Unmarshal(rec.Body.Bytes(), &e)
	if (rec.Code == http.StatusOK) != (e.Error == "") || rec.Code == http.StatusServiceUnavailable {
		g.t.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	return reply{rec.Code, rec.Body.String()}
}

func (g *rig) post(path, body string) reply {
	g.t.Helper()
	return g.do(http.MethodPost, path, body)
}

func (r reply) want(t *testing.T, status int, part string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, part) {
		t.Errorf("answer %d %s, want %d with %q", r.status, r.body, status, part)
	}
}

// A theirs is a client of theirs, whose main and environment may differ.
type theirs struct {
	id, hash, main string
	env            map[string]string
}

func client(id string) theirs { return theirs{id: id, hash: "h1", main: "main"} }

func (c theirs) with(name, value string) theirs {
	env := map[string]string{name: value}
	maps.Copy(env, c.env)
	c.env = env
	return c
}

const someCode = "def main(a): return a"

func (c theirs) initBody(code string) string {
	env := map[string]string{"__OW_CODE_HASH": c.hash, "__OW_ACTION_NAME": "/guest/hello", "__OW_ACTIVATION_ID": "of " + c.id}
	maps.Copy(env, c.env)
	text, _ := json.Marshal(map[string]any{"proxiedActionID": c.id, "value": map[string]any{"code": code, "main": c.main, "env": env}})
	return string(text)
}

func (g *rig) init(c theirs) {
	g.t.Helper()
	g.post("/init", c.initBody(someCode)).want(g.t, 200, `{"ok":true}`)
}

func byHash(hash string) string { return fmt.Sprintf(`{"actionCodeHash":%q,"value":{}}`, hash) }
func byID(id string) string     { return fmt.Sprintf(`{"proxiedActionID":%q,"value":{}}`, id) }

// response returns the field of that name of an answer.
func (r reply) response(t *testing.T) string {
	t.Helper()
	var a struct{ Response json.RawMessage }
	if err := json.Unmarshal([]byte(r.body), &a); r.status != http.StatusOK || err != nil {
		t.Fatalf("%d %s", r.status, r.body)
	}
	return string(a.Response)
}

// lastRun returns the function that ran last, and its body.
func (g *rig) lastRun() (function.ID, string) {
	g.host.mu.Lock()
	defer g.host.mu.Unlock()
	return g.host.ran[len(g.host.ran)-1], g.host.bodies[len(g.host.bodies)-1]
}

// files returns how many files there are: sessions, and code on its way.
func (g *rig) files() (sessions, code int) {
	count := func(name string) int {
		entries, _ := os.ReadDir(filepath.Join(g.dir, name))
		return len(entries)
	}
	return count("sessions"), count("code")
}

func repeat(text string, n int) string { return string(bytes.Repeat([]byte(text), n)) }
