package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/test/harness"
)

const guard = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

// A container is `whiskaway runtime`, as an invoker of OpenWhisk has it.
type container struct {
	*process
	url  string
	http *http.Client // the platform's
}

func startRuntime(t *testing.T, env ...string) *container {
	t.Helper()
	return startRuntimeBehind(t, nil, env...)
}

// startRuntimeBehind is startRuntime with a command that becomes the runtime, such as setpriv.
func startRuntimeBehind(t *testing.T, before []string, env ...string) *container {
	t.Helper()
	p, url := harness.StartRuntime(t, slices.Concat(before, []string{binary}), env...)
	return &container{process: wrap(t, p), url: url, http: http.DefaultClient}
}

func (c *container) post(path, body string) (int, string) {
	c.t.Helper()
	resp, err := c.http.Post(c.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.ContentLength < 0 {
		c.t.Errorf("%s answered without Content-Length", path)
	}
	return resp.StatusCode, string(b)
}

func initBody(main, code string, env map[string]string) string {
	b, _ := json.Marshal(map[string]any{"value": map[string]any{"name": "f", "main": main, "code": code, "binary": false, "env": env}})
	return string(b)
}

func runBody(value, activation string, deadline time.Time) string {
	return fmt.Sprintf(`{"value":%s,"namespace":"guest","action_name":"/guest/f","action_version":"0.0.1","activation_id":"%s","transaction_id":"t","deadline":"%d","api_key":"k"}`,
		value, activation, deadline.UnixMilli())
}

// direct starts a server alone, and returns its URL.
func direct(t *testing.T, token string, args ...string) (*process, string) {
	t.Helper()
	p := start(t, nil, nil, append([]string{"server", "--listen", "127.0.0.1:0", "--token", token, "--label", "box", "--data", t.TempDir()}, args...)...)
	return p, p.waitFor(`listening on (\S+)`)
}

const testToken = "a-token-for-tests-only"

func TestRuntimeModes(t *testing.T) {
	_, url := direct(t, testToken)
	for name, c := range map[string]struct {
		main string
		env  []string
	}{
		"local":            {"main", nil},
		"own balancer":     {"main@box", []string{"WHISKAWAY_BALANCER=" + url, "WHISKAWAY_TOKEN=" + testToken}},
		"openserverless":   {"main@box", []string{"OW_ACTIVATE_PROXY_CLIENT=1", "WHISKAWAY_BALANCER=" + url, "WHISKAWAY_TOKEN=" + testToken}},
		"host in the main": {"main@" + url, []string{"WHISKAWAY_TOKENS_FILE=" + tokensFile(t, url)}},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRuntime(t, append(c.env, "WHISKAWAY_KIND=python:3")...)
			code := "import os\ndef main(args):\n    print('a log')\n    return {'args': args, 'id': os.environ['__OW_ACTIVATION_ID'], 'x': os.environ['X']}\n"
			if status, b := r.post("/init", initBody(c.main, code, map[string]string{"X": "y", "__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/f"})); status != 200 {
				t.Fatalf("/init: %d %s", status, b)
			}
			for i := range 3 {
				id := fmt.Sprint("activation-", i)
				// A deadline that is already past counts as none.
				status, b := r.post("/run", runBody(`{"n":12345678901234567890}`, id, time.Now().Add(-time.Hour)))
				if want := `{"args":{"n":12345678901234567890},"id":"` + id + `","x":"y"}`; status != 200 || compact(t, b) != want {
					t.Errorf("/run: %d %s, want %s", status, b, want)
				}
			}
			r.stop()
			if got := strings.Join(r.lines(), "\n"); strings.Count(got, guard) != 3 || strings.Count(got, "a log") != 3 {
				t.Errorf("stdout holds %q", got)
			}
			if strings.Count(r.log(), guard) != 3 {
				t.Errorf("stderr holds %q", r.log())
			}
		})
	}
}

func tokensFile(t *testing.T, url string) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "tokens")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "# for tests\n%s %s\n", strings.TrimPrefix(url, "http://"), testToken)
	return f.Name()
}

// The function is initialised again on a server that restarted, unnoticed.
func TestAlwaysTrue6RuntimeOutlivesItsServer(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "server", "--listen", "127.0.0.1:0", "--token", testToken, "--label", "box", "--data", dir)
	url := p.waitFor(`listening on (\S+)`)
	r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+testToken)
	if status, b := r.post("/init", initBody("main@box", "def main(args):\n    return args\n", nil)); status != 200 {
		t.Fatalf("/init: %d %s", status, b)
	}
	p.kill()
	p = start(t, nil, nil, "server", "--listen", strings.TrimPrefix(url, "http://"), "--token", testToken, "--label", "box", "--data", dir)
	p.waitFor("listening on")
	if status, b := r.post("/run", runBody(`{"again":1}`, "id", time.Now().Add(time.Minute))); status != 200 || compact(t, b) != `{"again":1}` {
		t.Errorf("/run: %d %s", status, b)
	}
}

func TestParallelRunsKeepTheirAnswersApart(t *testing.T) {
	_, url := direct(t, testToken)
	for _, kind := range []struct{ name, code string }{
		{"python:3", "def main(args):\n    return {'id': args['id']}\n"},
		{"nodejs:20", "function main(args) { return {id: args.id} }"},
	} {
		for _, main := range []string{"main", "main@box"} {
			r := startRuntime(t, "WHISKAWAY_KIND="+kind.name, "__OW_ALLOW_CONCURRENT=true", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+testToken)
			if status, b := r.post("/init", initBody(main, kind.code, nil)); status != 200 {
				t.Fatalf("/init: %d %s", status, b)
			}
			var wg sync.WaitGroup
			for c := range 16 {
				wg.Go(func() {
					for i := range 40 {
						id := fmt.Sprintf("%d-%d", c, i)
						status, b := r.post("/run", runBody(`{"id":"`+id+`"}`, id, time.Now().Add(time.Minute)))
						if status != 200 || compact(t, b) != `{"id":"`+id+`"}` {
							t.Errorf("asked %s, answered %d %s", id, status, b)
						}
					}
				})
			}
			wg.Wait()
			r.stop()
			if n := strings.Count(r.log(), guard); n != 640 {
				t.Errorf("%d guard lines for 640 runs", n)
			}
		}
	}
}

// Code that many clients bring crosses the wire once.
func TestCodeIsSentOncePerDigest(t *testing.T) {
	p, url := direct(t, testToken)
	proxy, puts := countingProxy(t, url)
	big := "#" + strings.Repeat("x", 1<<20) + "\ndef main(args):\n    return args\n"
	for range 3 {
		r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+proxy, "WHISKAWAY_TOKEN="+testToken)
		if status, b := r.post("/init", initBody("main@box", big, nil)); status != 200 {
			t.Fatalf("/init: %d %s %s", status, b, p.log())
		}
	}
	if n := puts(); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
}

func TestAlwaysTrue9EveryEndpointAsksForAToken(t *testing.T) {
	_, url := direct(t, testToken)
	for _, c := range []struct{ method, path string }{
		{"PUT", "/code/" + strings.Repeat("0", 64)}, {"POST", "/init"}, {"POST", "/run"}, {"POST", "/stop"}, {"POST", "/renew"}, {"GET", "/status"}, {"GET", "/metrics"},
	} {
		for _, token := range []string{"", "wrong", testToken + "x"} {
			req, _ := http.NewRequest(c.method, url+c.path, bytes.NewReader(nil))
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 401 && !(c.path == "/metrics" && resp.StatusCode == 404) {
				t.Errorf("%s %s with the token %q: %d", c.method, c.path, token, resp.StatusCode)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		resp, err := http.Get(url + path)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v %v", path, resp, err)
		}
	}
}

func TestRuntimeWithoutABalancerSaysSo(t *testing.T) {
	r := startRuntime(t, "WHISKAWAY_KIND=python:3")
	status, b := r.post("/init", initBody("main@gpu", "def main(args):\n    return args\n", nil))
	if status == 200 || !strings.Contains(b, "WHISKAWAY_BALANCER") {
		t.Errorf("%d %s", status, b)
	}
}
