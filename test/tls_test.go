package test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// startTLSBalancer starts a balancer that listens beyond loopback, where it speaks
// TLS, and returns its URL by way of loopback.
func startTLSBalancer(t *testing.T, dir string) string {
	t.Helper()
	p := start(t, nil, nil, "balancer", "--listen", "0.0.0.0:0", "--data", dir)
	port := p.waitFor(`balancer listening on https://\S+:(\d+)`)
	return "https://127.0.0.1:" + port
}

func TestBeyondLoopbackEverythingIsTLS(t *testing.T) {
	dir := t.TempDir()
	url := startTLSBalancer(t, dir)
	server := start(t, nil, nil, "server", "--balancer", url, "--token", readToken(t, dir, "join"), "--label", "far", "--data", t.TempDir())
	server.waitFor("joined")

	r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+readToken(t, dir, "client"))
	if status, b := r.post("/init", initBody("main@far", "def main(args):\n    return args\n", nil)); status != 200 {
		t.Fatalf("/init: %d %s", status, b)
	}
	if status, b := r.post("/run", runBody(`{"over":"TLS"}`, "id", time.Now().Add(time.Minute))); status != 200 || compact(t, b) != `{"over":"TLS"}` {
		t.Errorf("/run: %d %s", status, b)
	}
	if out := run(t, "status", "--balancer", url, "--token", readToken(t, dir, "admin"), "--json"); !strings.Contains(out, `"far"`) {
		t.Errorf("status: %s", out)
	}
	resp, err := http.Get("http" + strings.TrimPrefix(url, "https") + "/status")
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("plain http was answered with %d", resp.StatusCode)
		}
	}
}

func TestAWrongTokenOrFingerprintIsExplained(t *testing.T) {
	dir := t.TempDir()
	url := startTLSBalancer(t, dir)
	join := readToken(t, dir, "join")
	secret, fingerprint, _ := strings.Cut(join, "~")
	otherDir := t.TempDir()
	startTLSBalancer(t, otherDir)
	_, other, _ := strings.Cut(readToken(t, otherDir, "join"), "~")
	for name, c := range map[string]struct{ token, want string }{
		"wrong secret":      {"wa_join_thisisnotthetokenofthebalancer~" + fingerprint, "tokens/join"},
		"another role":      {readToken(t, dir, "client"), "tokens/join"},
		"no fingerprint":    {secret, "fingerprint"},
		"wrong fingerprint": {secret + "~" + other, "fingerprint"},
	} {
		out := fails(t, "server", "--balancer", url, "--token", c.token, "--data", t.TempDir())
		if !strings.Contains(out, c.want) || strings.Contains(out, secret) {
			t.Errorf("%s: %q, which lacks %q or tells the secret", name, out, c.want)
		}
	}
}

// The platform's own runtimes reach a balancer that listens beyond loopback.
func TestStandaloneBeyondLoopback(t *testing.T) {
	dir := t.TempDir()
	s := startStandalone(t, dir, "--balancer-listen", "0.0.0.0:0")
	s.put("over", action{kind: "nodejs:20", main: "main@local", code: "exports.main = x => x"})
	if got := compact(t, s.result("over", `{"over":"TLS"}`)); got != `{"over":"TLS"}` {
		t.Errorf("the result is %s", got)
	}
	if out := run(t, "status", "--data", dir); !strings.Contains(out, "/guest/over") {
		t.Errorf("the status is %s", out)
	}
}

// A balancer's token is refused by every endpoint that is not for its role.
func TestAlwaysTrue9TokensAreForTheirRole(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := p.waitFor(`balancer listening on (\S+)`)
	for _, c := range []struct {
		role, method, path string
		refused            bool
	}{
		{"join", "GET", "/status", true}, {"join", "POST", "/run", true}, {"join", "POST", "/init", true},
		{"client", "GET", "/status", true}, {"client", "POST", "/join", true}, {"client", "POST", "/stop", false},
		{"client", "POST", "/drain", true}, {"join", "POST", "/drain", true},
		{"admin", "GET", "/status", false}, {"admin", "POST", "/join", true},
	} {
		req, _ := http.NewRequest(c.method, url+c.path, nil)
		secret, _, _ := strings.Cut(readToken(t, dir, c.role), "~")
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if refused := resp.StatusCode == 401 || resp.StatusCode == 403; refused != c.refused {
			t.Errorf("%s %s with the token %s: %d", c.method, c.path, c.role, resp.StatusCode)
		}
	}
}
