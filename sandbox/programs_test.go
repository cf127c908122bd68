package sandbox_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

const nodeProgram = `
const { Worker } = require("worker_threads");
const { execFileSync, fork } = require("child_process");
const http = require("http"), fs = require("fs"), os = require("os");
const lines = [execFileSync("/bin/echo", ["child"]).toString().trim()];
fs.writeFileSync(os.tmpdir() + "/file", "x");
new Worker("require('worker_threads').parentPort.postMessage('worker')", { eval: true }).on("message", (m) => {
  lines.push(m);
  const server = http.createServer((_, res) => res.end("served")).listen(0, "127.0.0.1", async () => {
    lines.push(await (await fetch("http://127.0.0.1:" + server.address().port)).text());
    server.close();
    console.log(lines.join(" "));
  });
});`

// What functions are made of works behind all walls.
func TestProgramsBehindFullWalls(t *testing.T) {
	walls := full(t)
	dir := openTree(t, "temp/", "src/main.go", "src/go.mod", "package/package.json")
	for file, text := range map[string]string{
		"src/main.go": "package main\n\nfunc main() { println(\"built\") }\n",
		"src/go.mod":  "module example.com/built\n\ngo 1.20\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	temp := filepath.Join(dir, "temp")
	for _, c := range []struct {
		name string
		path string
		args []string
		want string
		slow bool
	}{
		{"node", "/usr/bin/node", []string{"-e", nodeProgram}, "child worker served", false},
		{"npm", "/usr/bin/npm", []string{"--offline", "init", "-y"}, "Wrote to", false},
		{"pip", "/usr/bin/python3", []string{"-m", "pip", "--version"}, "pip ", false},
		{"venv", "/usr/bin/python3", []string{"-m", "venv", "--without-pip", temp + "/venv"}, "", false},
		{"asyncio", "/usr/bin/python3", []string{"-c", "import asyncio, ssl; print(asyncio.run(asyncio.to_thread(lambda: 'done')))"}, "done", false},
		{"go", "/usr/local/go/bin/go", []string{"run", "."}, "built", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := os.Stat(c.path); err != nil {
				t.Skip(err)
			}
			if c.slow && os.Getenv("WHISKAWAY_SLOW") == "" {
				t.Skip("takes a minute; set WHISKAWAY_SLOW=1")
			}
			work := temp
			if c.name == "go" {
				work = filepath.Join(dir, "src")
			}
			var out strings.Builder
			err := sandbox.Run(t.Context(), sandbox.Config{
				Path: c.path, Args: c.args, Dir: work, Temp: temp, User: 20001, Shim: shimOf(""), Walls: walls,
				Env: []string{"PATH=/usr/local/go/bin:/usr/bin:/bin", "HOME=" + temp, "TMPDIR=" + temp, "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod"},
			}, &out)
			if err != nil || !strings.Contains(out.String(), c.want) {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}

// An interpreter in a directory that is hidden works when its prefix is named.
func TestInterpreterInAHiddenPlace(t *testing.T) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.base_prefix)").Output()
	if err != nil {
		t.Skip("no python3")
	}
	prefix := strings.TrimSpace(string(out))
	if u, err := user.Current(); err != nil || !strings.HasPrefix(prefix, u.HomeDir+"/") {
		t.Skipf("python3 is in %s, which is not hidden", prefix)
	}
	walls := full(t)
	needView(t, walls)
	cfg := sandbox.Config{
		Path: filepath.Join(prefix, "bin/python3"), Args: []string{"-c", "import json, ssl, sys; print(sys.prefix)"}, Dir: "/",
		User: 20001, Shim: shimOf(""), Walls: walls, Env: []string{"PATH=/usr/bin:/bin"},
	}
	var told strings.Builder
	// It may go on with the libraries of another one, of the same version.
	if err := sandbox.Run(t.Context(), cfg, &told); err == nil && told.String() == prefix+"\n" {
		t.Error("it sees its prefix, which nobody named")
	}
	told.Reset()
	cfg.Readable = []string{prefix}
	if err := sandbox.Run(t.Context(), cfg, &told); err != nil || told.String() != prefix+"\n" {
		t.Errorf("%v: %s", err, told.String())
	}
}
