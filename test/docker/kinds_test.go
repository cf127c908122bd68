package docker

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// whereCode says what a function sees of its container.
const whereCode = `import os, sys, urllib.request
def main(a):
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    build = urllib.request.urlopen(os.environ["__OW_API_HOST"] + "/api/v1").read().decode()
    return {"n": a["n"], "first": open("/proc/1/cmdline").read().split("\0")[0], "tokens": [v for v in os.environ if "TOKEN" in v or "BALANCER" in v], "api": "OpenWhisk API" in build}
`

func TestPlatformRunsKindsInContainers(t *testing.T) {
	p := startPlatform(t, t.TempDir())
	p.put("py", exe{Kind: "python:default", Code: whereCode}, `{"memory": 128}`)
	for n := range 3 {
		a := p.invoke("py", fmt.Sprintf(`{"n": %d}`, n))
		if want := fmt.Sprintf(`{"n":%d,"first":"/bin/whiskaway","tokens":[],"api":true}`, n); string(a.Response.Result) != want {
			t.Errorf("run %d: %s, want %s", n, a.Response.Result, want)
		}
		if out, errs := a.said("stdout"), a.said("stderr"); len(a.Logs) != 2 || len(out) != 1 || out[0] != "said on stdout" || len(errs) != 1 || errs[0] != "said on stderr" {
			t.Errorf("run %d logged %q", n, a.Logs)
		}
	}
	ours := p.ours("{{.ID}}")
	if len(ours) != 1 {
		t.Fatalf("three runs made the containers %v", p.ours("{{.Names}} {{.Status}}"))
	}
	checkLimits(t, ours[0])
	p.put("js", exe{Kind: "nodejs:20", Code: `function main(a) { return {uid: process.getuid(), n: a.n} }`}, "")
	if got := p.result("js", `{"n": 9007199254740993}`); !strings.HasPrefix(got, `{"uid":65534,`) {
		t.Errorf("Node.js: %s", got)
	}
	p.put("native", exe{Kind: "native", Code: nativeEcho(t)}, "")
	if got := p.result("native", `{}`); got != `{"native":true}` {
		t.Errorf("native: %s", got)
	}
	// The runtime has the token of the balancer; the function, which runs on this machine's own server, has none.
	p.put("at", exe{Kind: "python:3", Code: "import os\ndef main(a): return {'tokens': [v for v in os.environ if 'TOKEN' in v], 'container': os.path.exists('/bin/proxy')}", Main: "main@local"}, "")
	if got := p.result("at", `{}`); got != `{"tokens":[],"container":false}` {
		t.Errorf("main@local: %s", got)
	}
	p.Stop()
	if left := p.ours("{{.Names}}"); len(left) > 0 {
		t.Errorf("SIGTERM left %v", left)
	}
}

// checkLimits holds a container of 128 MB to what OpenWhisk's invoker gives.
func checkLimits(t *testing.T, id string) {
	t.Helper()
	var known []struct {
		Config struct {
			Env    []string
			Labels map[string]string
		}
		HostConfig struct {
			Memory, MemorySwap, CPUShares int64
			PidsLimit                     int64
			CapDrop, SecurityOpt          []string
			Ulimits                       []struct {
				Name       string
				Soft, Hard int64
			}
			LogConfig struct{ Type string }
		}
	}
	if err := json.Unmarshal([]byte(docker(t, "inspect", id)), &known); err != nil {
		t.Fatal(err)
	}
	h := known[0].HostConfig
	got := fmt.Sprint(h.Memory>>20, h.MemorySwap>>20, h.CPUShares, h.PidsLimit, h.CapDrop, h.SecurityOpt, h.Ulimits, h.LogConfig)
	if want := "128 128 32 1024 [NET_RAW NET_ADMIN] [no-new-privileges] [{nofile 1024 1024}] {none}"; got != want {
		t.Errorf("the limits are %s, want %s", got, want)
	}
	labels := known[0].Config.Labels
	if labels["whiskaway.kind"] != "python:3" || labels["whiskaway.namespace"] != "guest" || labels["whiskaway.action"] != "/guest/py" {
		t.Errorf("the labels are %v", labels)
	}
	if env := strings.Join(known[0].Config.Env, "\n"); !strings.Contains(env, "WHISKAWAY_TOKEN=") {
		t.Error("the runtime was given no token for the balancer")
	}
}

// nativeEcho is an executable that speaks OpenWhisk's ActionLoop, in base64.
func nativeEcho(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "echo.go"), []byte(echo), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(dir, "echo"), filepath.Join(dir, "echo.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	executable, err := os.ReadFile(filepath.Join(dir, "echo"))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(executable)
}

// Many at once: each has a container of its own, and each gets its own answer and its own logs.
func TestPlatformRunsManyContainersAtOnce(t *testing.T) {
	const many = 16
	p := startPlatform(t, t.TempDir())
	p.put("slow", exe{Kind: "python:3", Code: "import time\ndef main(a):\n    print('n is', a['n'])\n    time.sleep(1)\n    return a\n"}, `{"memory": 128}`)
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() {
			a := p.invoke("slow", fmt.Sprintf(`{"n": %d}`, n))
			if string(a.Response.Result) != fmt.Sprintf(`{"n":%d}`, n) || len(a.Logs) != 1 || !strings.HasSuffix(a.Logs[0], fmt.Sprint("n is ", n)) {
				t.Errorf("run %d: %s %q", n, a.Response.Result, a.Logs)
			}
		})
	}
	all.Wait()
	t.Logf("%d runs used %d containers", many, len(p.ours("{{.ID}}")))
}

// A run's lines come back with it, whole and in order, however many they are; the largest code that
// OpenWhisk takes arrives.
func TestPlatformWholeLogsAndLargeCode(t *testing.T) {
	const lines = 20000
	p := startPlatform(t, t.TempDir())
	code := fmt.Sprintf("import sys\ndef main(a):\n    for n in range(%d):\n        print(n, 'x' * 100)\n        print(n, 'y' * 100, file=sys.stderr)\n    return {'size': len(PAD)}\nPAD = '", lines)
	pad := 48<<20 - len(code) - 2
	p.put("large", exe{Kind: "python:3", Code: code + strings.Repeat("z", pad) + "'\n"}, `{"memory": 512}`)
	for range 2 {
		a := p.invoke("large", "{}")
		if string(a.Response.Result) != fmt.Sprintf(`{"size":%d}`, pad) {
			t.Fatalf("the result is %.200s", a.Response.Result)
		}
		for stream, letter := range map[string]string{"stdout": "x", "stderr": "y"} {
			said := a.said(stream)
			for n, line := range said {
				if line != fmt.Sprint(n, " ", strings.Repeat(letter, 100)) {
					t.Fatalf("line %d of %s is %q", n, stream, line)
				}
			}
			if len(said) != lines {
				t.Errorf("%d lines on %s, want %d", len(said), stream, lines)
			}
		}
	}
}

// A container that uses up its memory: where only the function's process is killed, and where it is all there is.
func TestPlatformOutOfMemory(t *testing.T) {
	p := startPlatform(t, t.TempDir())
	buildServer(t)
	eat := "def main(a):\n    if a.get('eat'):\n        x = []\n        while True: x.append(bytearray(10000000))\n    return {'n': 1}\n"
	p.put("function", exe{Kind: "python:3", Code: eat}, `{"memory": 128}`)
	p.put("server", exe{Kind: "blackbox", Image: imageName("server")}, `{"memory": 128}`)
	// Our own runtime looks as well, and may be faster than the kernel: then the words are its own.
	for name, want := range map[string]string{"function": "memory", "server": "The action exhausted its memory and was aborted."} {
		p.result(name, `{}`)
		p.fails(name, `{"eat": true}`, 2, want)
		p.result(name, `{}`)
	}
}

// Containers in a network of their own, and reached by ports of loopback.
func TestPlatformOtherWaysToReachContainers(t *testing.T) {
	needImages(t)
	docker(t, "network", "create", "functions")
	defer removeNetwork("functions")
	for name, flags := range map[string][]string{
		"network": {"--docker-network", "functions"},
		"publish": {"--docker-publish"},
		"limits":  {"--docker-cpus", "0.5", "--docker-pids", "64"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPlatform(t, t.TempDir(), flags...)
			p.put("py", exe{Kind: "python:3", Code: whereCode}, "")
			if got := p.result("py", `{"n": 1}`); !strings.Contains(got, `"api":true`) {
				t.Errorf("%s", got)
			}
			if name == "limits" {
				if got := docker(t, "inspect", "--format", "{{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}", p.ours("{{.ID}}")[0]); got != "500000000 64" {
					t.Errorf("limits: %s", got)
				}
			}
			p.Stop() // before its network goes
		})
	}
}

// OpenWhisk's own manifest says which kinds there are.
func TestPlatformWithRuntimesManifest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runtimes.json")
	err := os.WriteFile(file, []byte(`{"runtimes": {
		"python": [{"kind": "python:3.11", "default": true, "image": {"prefix": "", "name": "whiskaway-python", "tag": "test"}, "attached": {"attachmentName": "codefile", "attachmentType": "text/plain"},
			"stemCells": [{"count": 2, "memory": "128 MB"}]},
			{"kind": "python:2", "deprecated": true, "image": {"prefix": "old", "name": "python2action"}}],
		"java": [{"kind": "java:8", "requireMain": true, "image": {"registry": "registry.example.com", "prefix": "openwhisk", "name": "java8action", "tag": "1.0"}}]}}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	needImages(t)
	saved := ownImages
	ownImages = nil
	defer func() { ownImages = saved }()
	p := startPlatform(t, t.TempDir(), "--runtimes", file)
	eventually(t, "two containers were started in advance", func() bool { return len(p.ours("{{.ID}}", "label=whiskaway.kind=python:3.11", "status=running")) == 2 })
	p.put("py", exe{Kind: "python:default", Code: "def main(a): return {'n': 1}"}, "")
	if got := p.result("py", `{}`); got != `{"n":1}` {
		t.Errorf("python:3.11: %s", got)
	}
	for _, c := range []struct {
		e    exe
		want string
	}{
		{exe{Kind: "python:2", Code: "x"}, "The 'python:2' runtime is no longer supported. You may read and delete but not update or invoke this action."},
		{exe{Kind: "java:8", Code: "x"}, "'main' must be a string defined in 'exec' for 'java:8' actions"},
		{exe{Kind: "nodejs:20", Code: "x"}, "kind 'nodejs:20' not in Set(java:8, python:3.11, python:2)"},
	} {
		if status, answer := p.tryPut("x", c.e, ""); status != 400 || !strings.Contains(string(answer), c.want) {
			t.Errorf("%v: %d %s", c.e, status, answer)
		}
	}
}
