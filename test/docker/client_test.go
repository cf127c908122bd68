package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const dataDir = "/var/lib/whiskaway"

// A fleet is a balancer and a server with the label gpu, each in a container.
type fleet struct {
	t                *testing.T
	balancer, server *container
	url              string
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	needImages(t)
	f := &fleet{t: t}
	f.balancer = start(t, "whiskaway-runtime", []string{"--entrypoint", "/bin/whiskaway", "--read-only", "--volume", dataDir},
		"balancer", "--listen", "0.0.0.0:3234", "--data", dataDir)
	f.balancer.waitFor("balancer listening on")
	f.url = "https://" + f.balancer.address("3234")
	f.server = start(t, "whiskaway-server", []string{"--env", "WHISKAWAY_BALANCER=" + f.url, "--env", "WHISKAWAY_TOKEN=" + f.token("join")}, "--label", "gpu")
	f.server.waitFor("joined " + f.url)
	return f
}

// token reads a token as an operator does: there is no cat in the container.
func (f *fleet) token(role string) string {
	f.t.Helper()
	return docker(f.t, "exec", f.balancer.id, "whiskaway", "token", role, "--data", dataDir)
}

// client starts a client-mode container as the invoker does, on a read-only file system.
func (f *fleet) client(image string) *action {
	f.t.Helper()
	return startRuntime(f.t, image, slices.Concat(asInvoker, readOnly, []string{"--env", "WHISKAWAY_BALANCER=" + f.url, "--env", "WHISKAWAY_TOKEN=" + f.token("client")})...)
}

// leases is how many clients hold a function, by the balancer's own status.
func (f *fleet) leases() int {
	f.t.Helper()
	var status struct{ Functions []struct{ Leases int } }
	text := docker(f.t, "exec", f.balancer.id, "whiskaway", "status", "--json", "--data", dataDir)
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		f.t.Fatalf("%v: %s", err, text)
	}
	n := 0
	for _, function := range status.Functions {
		n += function.Leases
	}
	return n
}

// remoteCode counts its runs in memory, says who it is, and takes as long as it is told to.
const remoteCode = `import os, sys, time
runs = 0
def main(args):
    global runs
    runs += 1
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    time.sleep(args.get("seconds", 0))
    return {"run": runs, "root": os.getuid() == 0, "tokens": [v for v in os.environ if "TOKEN" in v]}
`

const nodeCounter = `let runs = 0
function main(args) { return {run: ++runs, root: process.getuid() === 0, tokens: Object.keys(process.env).filter(v => v.includes('TOKEN'))} }
`

func run(n string) string { return `{"run":` + n + `,"root":false,"tokens":[]}` }

func TestClientMode(t *testing.T) {
	f := startFleet(t)
	for image, code := range map[string]string{"whiskaway-client-python": remoteCode, "whiskaway-client-nodejs": nodeCounter} {
		t.Run(image, func(t *testing.T) {
			r := f.client(image)
			r.t = t
			r.init("main@gpu", code, false)
			r.answers(`{}`, run("1"))
			stdout, stderr := r.guarded(1)
			if code == remoteCode && (!strings.Contains(stdout, "said on stdout\n"+guard) || !strings.Contains(stderr, "said on stderr\n"+guard)) {
				t.Errorf("the logs are\n%s\n%s", stdout, stderr)
			}
			docker(t, "pause", r.id)
			docker(t, "unpause", r.id)
			r.answers(`{}`, run("2"))
			r.guarded(2)
			t.Logf("memory of an idle client: %s", docker(t, "stats", "--no-stream", "--format", "{{.MemUsage}}", r.id))
			r.ends(t)
		})
	}
}

// An image that was given its balancer and its token needs no variable when it is run.
func TestConfiguredClientImage(t *testing.T) {
	f := startFleet(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(f.token("client")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	docker(t, "build", "--quiet", "--file", root+"/docker/configured/Dockerfile", "--build-arg", "CLIENT="+imageName("whiskaway-client-python"),
		"--build-arg", "BALANCER="+f.url, "--tag", imageName("configured"), dir)
	r := startRuntime(t, "configured", slices.Concat(asInvoker, readOnly)...)
	r.init("main@gpu", remoteCode, false)
	r.answers(`{}`, run("1"))
	r.guarded(1)
}

// Frozen while the server restarts: the function is gone, and the next run starts it again.
func TestClientFrozenWhileTheServerRestarts(t *testing.T) {
	f := startFleet(t)
	r := f.client("whiskaway-client-python")
	r.init("main@gpu", remoteCode, false)
	r.answers(`{}`, run("1"))
	docker(t, "pause", r.id)
	docker(t, "restart", f.server.id)
	docker(t, "unpause", r.id)
	r.answers(`{}`, run("1"))
	r.guarded(2)
}

// SIGTERM lets a run end and then ends the lease, SIGKILL costs the lease only.
func TestClientsEnd(t *testing.T) {
	f := startFleet(t)
	killed, stopped := f.client("whiskaway-client-python"), f.client("whiskaway-client-python")
	for _, r := range []*action{killed, stopped} {
		r.init("main@gpu", remoteCode, false)
	}
	killed.answers(`{}`, run("1"))
	eventually(t, "both clients hold the function", func() bool { return f.leases() == 2 })

	docker(t, "rm", "--force", killed.id)
	stopped.answers(`{}`, run("2"))

	done := make(chan struct{})
	go func() {
		defer close(done)
		stopped.answers(`{"seconds":2}`, run("3"))
	}()
	eventually(t, "the run has begun", func() bool {
		out, _ := stopped.logs()
		return strings.Count(out, "said on stdout") == 2
	})
	stopped.ends(t)
	<-done
	stopped.guarded(2)
	if n := f.leases(); n > 1 {
		t.Errorf("%d leases after one client was killed and the other stopped", n)
	}
}

// No function runs in the client-mode images, beside the token, also not an executable, which needs no interpreter.
func TestClientImagesRunNothingThemselves(t *testing.T) {
	needImages(t)
	for _, image := range []string{"whiskaway-client-python", "whiskaway-client-native"} {
		r := startRuntime(t, image, asInvoker...)
		status, answer := r.post("/init", `{"value":{"name":"f","main":"main","code":"#!/bin/whiskaway","env":{}}}`)
		if status != 502 || !strings.Contains(answer, "main@gpu") {
			t.Errorf("%s /init: %d %s", image, status, answer)
		}
		r.guarded(1)
	}
}
