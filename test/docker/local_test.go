package docker

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a function says of where it runs: its user, and whether it may write beside /tmp.
const (
	pythonCode = `import os, sys
def main(args):
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    return {"n": args["n"], "user": os.getuid(), "writable": os.access("/", os.W_OK)}
`
	nodeCode = `const fs = require('fs')
function main(args) {
  console.log("said on stdout")
  console.error("said on stderr")
  let writable = true
  try { fs.accessSync('/', fs.constants.W_OK) } catch { writable = false }
  return {n: args.n, user: process.getuid(), writable}
}
`
	whereabouts = `{"n":1,"user":65534,"writable":false}`
)

func TestLocalMode(t *testing.T) {
	needImages(t)
	for _, c := range []struct{ image, code string }{{"whiskaway-python", pythonCode}, {"whiskaway-nodejs", nodeCode}} {
		for name, flags := range map[string][]string{"as the invoker": asInvoker, "read-only": slices.Concat(asInvoker, readOnly)} {
			t.Run(c.image+" "+name, func(t *testing.T) {
				t.Parallel()
				r := startRuntime(t, c.image, flags...)
				r.init("main", c.code, false)
				r.answers(`{"n":1}`, whereabouts)
				stdout, stderr := r.guarded(1)
				if !strings.Contains(stdout, "said on stdout\n"+guard) || !strings.Contains(stderr, "said on stderr\n"+guard) {
					t.Errorf("the logs are\n%s\n%s", stdout, stderr)
				}
				docker(t, "pause", r.id)
				if state := r.state(); state != "paused" {
					t.Errorf("it is %s after docker pause", state)
				}
				docker(t, "unpause", r.id)
				r.answers(`{"n":1}`, whereabouts)
				r.guarded(2)
				if status, answer := r.post("/init", `{"value":{"code":"x"}}`); status != 403 {
					t.Errorf("a second /init: %d %s", status, answer)
				}
				r.ends(t)
			})
		}
	}
}

// ends tells the container to stop, and checks that it does so well.
func (c *container) ends(t *testing.T) {
	t.Helper()
	docker(t, "kill", "--signal", "TERM", c.id)
	if code := docker(t, "wait", c.id); code != "0" {
		t.Errorf("%s ended with %s after SIGTERM", c.name, code)
	}
}

// echo is an executable that speaks OpenWhisk's ActionLoop.
const echo = `package main

import (
	"bufio"
	"os"
)

func main() {
	out := os.NewFile(3, "")
	out.WriteString("{\"ok\":true}\n")
	for in := bufio.NewReader(os.Stdin); ; {
		if _, err := in.ReadBytes('\n'); err != nil {
			return
		}
		out.WriteString("{\"native\":true}\n")
	}
}
`

// The bare image has no interpreter, and runs executables.
func TestLocalModeNative(t *testing.T) {
	needImages(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "echo.go"), []byte(echo), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "echo"), filepath.Join(dir, "echo.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	executable, err := os.ReadFile(filepath.Join(dir, "echo"))
	if err != nil {
		t.Fatal(err)
	}
	// An executable cannot run where /tmp is mounted noexec, as --tmpfs does unless told otherwise.
	r := startRuntime(t, "whiskaway-runtime", slices.Concat(asInvoker, []string{"--read-only", "--tmpfs", "/tmp:exec", "--env", "WHISKAWAY_KIND=native"})...)
	r.init("main", base64.StdEncoding.EncodeToString(executable), true)
	r.answers(`{}`, `{"native":true}`)
	r.guarded(1)
	r.ends(t)
}
