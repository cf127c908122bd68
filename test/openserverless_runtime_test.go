package test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/test/fakeopenserverless"
)

// startFakeOpenServerless starts the stand-in for a server of theirs.
func startFakeOpenServerless(t *testing.T, byID bool) (*fakeopenserverless.Server, string) {
	t.Helper()
	s := &fakeopenserverless.Server{ByID: byID, Run: func(a fakeopenserverless.Action, value json.RawMessage) fakeopenserverless.Result {
		if strings.Contains(string(value), "exit") {
			return fakeopenserverless.Result{Died: true}
		}
		text, _ := json.Marshal(map[string]any{"main": a.Main, "x": a.Env["X"], "value": value})
		return fakeopenserverless.Result{Response: text, Out: "an out log\n", Err: "an err log\n"}
	}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// Our runtime in client mode is a client of OpenServerless's servers too: where main says so, and
// where OpenServerless's variable lets it ask.
func TestRuntimeBeforeAnOpenServerlessServer(t *testing.T) {
	for name, c := range map[string]struct {
		behind string
		env    []string
		byID   bool
	}{
		"main says so": {behind: "?protocol=openserverless"},
		"it is asked":  {env: []string{"OW_ACTIVATE_PROXY_CLIENT=1"}},
		"by id":        {behind: "/path?protocol=openserverless", byID: true},
	} {
		t.Run(name, func(t *testing.T) {
			theirs, url := startFakeOpenServerless(t, c.byID)
			r := startRuntime(t, append(c.env, "WHISKAWAY_KIND=python:3", "WHISKAWAY_TOKENS_FILE="+tokensFile(t, url))...)
			if status, b := r.post("/init", initBody("go@"+url+c.behind, "some code", map[string]string{"X": "y"})); status != 200 {
				t.Fatalf("/init: %d %s", status, b)
			}
			run := func(value string) (int, string) {
				return r.post("/run", runBody(value, "id", time.Now().Add(time.Minute)))
			}
			want := func(value string) {
				t.Helper()
				if status, b := run(value); status != 200 || b != `{"main":"go","value":`+value+`,"x":"y"}` {
					t.Errorf("/run: %d %s", status, b)
				}
			}
			want(`{"n":12345678901234567890}`)
			theirs.Forget() // as a restart does
			want(`[1,"ü"]`)
			if status, b := run(`{"exit":1}`); status != 502 || !strings.Contains(b, "command exited") {
				t.Errorf("an action that died: %d %s", status, b)
			}
			theirs.Forget()
			want(`{}`)
			r.stop()
			if n := theirs.Actions(); n != 0 {
				t.Errorf("%d actions are left after SIGTERM", n)
			}
			if out, err := strings.Join(r.lines(), "\n"), r.log(); strings.Count(out, guard) != 4 || strings.Count(out, "an out log") != 3 || strings.Count(err, guard) != 4 || strings.Count(err, "an err log") != 3 {
				t.Errorf("stdout %q, stderr %q", out, err)
			}
			for _, request := range theirs.Requests() {
				if request.Header.Get("Authorization") != "" || strings.Contains(request.Body, testToken) {
					t.Errorf("a token was sent with %s", request.Path)
				}
			}
		})
	}
}

// A client that is killed leaves nothing: the code that it keeps for their server has no name.
func TestClientOfOpenServerlessLeavesNothingOnDisk(t *testing.T) {
	theirs, url := startFakeOpenServerless(t, false)
	temp, code := t.TempDir(), strings.Repeat("some code ", 10_000)
	r := startRuntime(t, "WHISKAWAY_KIND=python:3", "TMPDIR="+temp)
	if status, b := r.post("/init", initBody("go@"+url+"?protocol=openserverless", code, nil)); status != 200 {
		t.Fatalf("/init: %d %s", status, b)
	}
	theirs.Forget()
	if status, b := r.post("/run", runBody(`{}`, "id", time.Now().Add(time.Minute))); status != 200 {
		t.Errorf("/run: %d %s", status, b)
	}
	r.kill()
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("it left %v", left)
	}
}

// A host that main says nothing about is asked; what answers neither way is an error.
func TestRuntimeAsksWhatAHostSpeaks(t *testing.T) {
	_, url := direct(t, testToken)
	_, addr := startOpenServerless(t, t.TempDir())
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(proxy.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	for host, c := range map[string]struct {
		status int
		want   string
	}{
		url:                      {200, "ok"},
		"http://" + addr:         {200, "ok"}, // our face is one of theirs
		proxy.URL:                {502, "502 Bad Gateway"},
		gone.URL:                 {502, "cannot ask"},
		"http://10.255.0.1:8080": {400, "WHISKAWAY_PLAIN_HTTP=10.255.0.1:8080"},
	} {
		r := startRuntime(t, "WHISKAWAY_KIND=python:3", "OW_ACTIVATE_PROXY_CLIENT=1", "WHISKAWAY_TOKENS_FILE="+tokensFile(t, url))
		status, b := r.post("/init", initBody("main@"+host, "def main(args):\n    return args\n", nil))
		if status != c.status || !strings.Contains(b, c.want) {
			t.Errorf("%s: %d %s, want %d with %q", host, status, b, c.status, c.want)
		}
		if c.status != 200 {
			continue
		}
		if status, b := r.post("/run", runBody(`{"n":1}`, "id", time.Now().Add(time.Minute))); status != 200 || compact(t, b) != `{"n":1}` {
			t.Errorf("%s: %d %s", host, status, b)
		}
	}
}

// OpenServerless's variable makes a server of a runtime, for one sort of clients.
func TestRuntimeAsAServer(t *testing.T) {
	on := "OW_ACTIVATE_PROXY_SERVER=1"
	for want, env := range map[string][]string{
		"WHISKAWAY_OPENSERVERLESS_NAMESPACE, the namespace": {on},
		"unset one of the two":                              {on, "WHISKAWAY_TOKEN=" + testToken, "WHISKAWAY_OPENSERVERLESS_NAMESPACE=demo"},
	} {
		p := start(t, env, nil, "runtime", "--listen", "127.0.0.1:0")
		<-p.ended
		if !strings.Contains(p.log(), want) || p.cmd.ProcessState.Success() {
			t.Errorf("%v: %s", env, p.log())
		}
	}
	p := start(t, []string{on, "WHISKAWAY_OPENSERVERLESS_NAMESPACE=demo", "WHISKAWAY_KIND=nodejs:20"}, nil, "runtime", "--listen", "127.0.0.1:0")
	c := newTheirClient(t, p.waitFor(`openserverless listening on http://(\S+)`), false)
	p.waitFor("WARNING: .*no token")
	c.mustInit("main", theirCode["nodejs:20"], nil)
	c.run(`[1]`).want(t, `[1]`)
	p = start(t, []string{on, "WHISKAWAY_TOKEN=" + testToken}, nil, "runtime", "--listen", "127.0.0.1:0")
	url := p.waitFor(`server listening on (\S+)`)
	r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_TOKENS_FILE="+tokensFile(t, url))
	if status, b := r.post("/init", initBody("main@"+url, "def main(args):\n    return args\n", nil)); status != 200 {
		t.Errorf("/init: %d %s", status, b)
	}
}
