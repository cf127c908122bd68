package test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A clientHost is what a client-mode runtime hands its function to.
type clientHost struct {
	url, token string
	share      string // a directory that functions may write to
}

// client starts a runtime that hands its function to the host.
func (h clientHost) client(t *testing.T) *container {
	t.Helper()
	return startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+h.url, "WHISKAWAY_TOKEN="+h.token)
}

// onClientHosts runs test against a server, and against a balancer with two servers.
func onClientHosts(t *testing.T, test func(t *testing.T, h clientHost)) {
	t.Run("server", func(t *testing.T) {
		share := shared(t)
		_, url := direct(t, testToken, "--share", share)
		test(t, clientHost{url, testToken, share})
	})
	t.Run("balancer with two servers", func(t *testing.T) {
		dir, share := t.TempDir(), shared(t)
		b := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
		url := b.waitFor(`balancer listening on (\S+)`)
		for _, name := range []string{"one", "two"} {
			s := start(t, nil, nil, "server", "--balancer", url, "--token", readToken(t, dir, "join"), "--label", "box", "--name", name, "--share", share, "--data", t.TempDir())
			s.waitFor("joined")
		}
		test(t, clientHost{url, readToken(t, dir, "client"), share})
	})
}

// gated is a function that notes each of its starts, and is ready only when the file gate is there.
const gated = `
import os, time
with open("MARKS", "a") as f: f.write("started\n")
print("I am getting ready", flush=True)
while not os.path.exists("GATE"): time.sleep(0.01)
def main(args):
    return {"ready": True}
`

// gatedIn returns the function, with its files in a directory.
func gatedIn(dir string) (code, gate string, starts func() int) {
	marks, gate := filepath.Join(dir, "marks"), filepath.Join(dir, "gate")
	code = strings.NewReplacer("MARKS", marks, "GATE", gate).Replace(gated)
	return code, gate, func() int {
		text, _ := os.ReadFile(marks)
		return strings.Count(string(text), "started\n")
	}
}

func TestInitWaitsUntilTheFunctionIsReadySomewhere(t *testing.T) {
	onClientHosts(t, func(t *testing.T, h clientHost) {
		code, gate, starts := gatedIn(h.share)
		r := h.client(t)
		answered := make(chan string, 1)
		go func() {
			status, b := r.post("/init", initBody("main@box", code, nil))
			answered <- fmt.Sprintf("%d %s", status, b)
		}()
		eventually(t, "the function starts", func() bool { return starts() > 0 })
		select {
		case a := <-answered:
			t.Fatalf("/init was answered before the function was ready: %s", a)
		default:
		}
		openGate(t, gate)
		if a := <-answered; a != `200 {"ok":true}` {
			t.Errorf("/init: %s", a)
		}
		runsReady(t, r)
		if n := starts(); n != 1 {
			t.Errorf("it was started %d times", n)
		}
	})
}

func openGate(t *testing.T, gate string) {
	t.Helper()
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func runsReady(t *testing.T, r *container) {
	t.Helper()
	if status, b := r.post("/run", runBody(`{}`, "id", time.Now().Add(patience))); status != 200 || compact(t, b) != `{"ready":true}` {
		t.Errorf("/run: %d %s", status, b)
	}
}

// What is wrong with a function is its developer's business: the error is in its own
// words, and what it printed is in the logs of the activation, each with its guard line.
func TestAFunctionsOwnInitErrorReachesItsDeveloper(t *testing.T) {
	for name, c := range map[string]struct{ code, says, logs string }{
		"raises":      {"print('a line before', flush=True)\nraise ValueError('there is no model today')\n", "there is no model today", "a line before"},
		"has no main": {"def other(args):\n    return {}\n", "main", ""},
		"no Python":   {"def main(args:\n", "", "SyntaxError"},
		"exits":       {"import sys\nprint('bye now', flush=True)\nsys.exit(3)\n", "", "bye now"},
	} {
		t.Run(name, func(t *testing.T) {
			onClientHosts(t, func(t *testing.T, h clientHost) {
				r := h.client(t)
				for round := range 2 { // the second finds a host that knows it
					status, b := r.post("/init", initBody("main@box", c.code, nil))
					if status != 502 || !strings.Contains(b, `"error"`) || !strings.Contains(b, c.says) {
						t.Errorf("/init: %d %s", status, b)
					}
					eventually(t, "the guard lines", func() bool {
						return strings.Count(r.log(), guard) == round+1 && strings.Count(strings.Join(r.lines(), "\n"), guard) == round+1
					})
					if n := strings.Count(r.log(), c.logs); n < round+1 {
						t.Errorf("stderr holds %q", r.log())
					}
				}
				if status, b := r.post("/init", initBody("main@box", "def main(args):\n    return {'ready': True}\n", nil)); status != 200 {
					t.Errorf("a good function afterwards: %d %s", status, b)
				}
				runsReady(t, r)
			})
		})
	}
}

// A start that outlives its caller's patience goes on, with a lease of its own: the next
// client's /init finds it.
func TestAlwaysTrue8AStartThatOutlivesItsClientsPatienceIsFound(t *testing.T) {
	onClientHosts(t, func(t *testing.T, h clientHost) {
		code, gate, starts := gatedIn(h.share)
		impatient := h.client(t)
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, impatient.url+"/init", strings.NewReader(initBody("main@box", code, nil)))
		if err != nil {
			t.Fatal(err)
		}
		left := make(chan error, 1)
		go func() {
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			left <- err
		}()
		eventually(t, "the function starts", func() bool { return starts() > 0 })
		hangUp()
		if err := <-left; err == nil {
			t.Error("/init was answered before the function was ready")
		}
		impatient.stop() // as OpenWhisk does with such a container
		openGate(t, gate)
		next := h.client(t)
		if status, b := next.post("/init", initBody("main@box", code, nil)); status != 200 {
			t.Fatalf("the next /init: %d %s", status, b)
		}
		runsReady(t, next)
		if n := starts(); n != 1 {
			t.Errorf("it was started %d times", n)
		}
	})
}
