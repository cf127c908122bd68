package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxyRun runs the program under OpenWhisk's name, to its end, with in on its standard input.
func proxyRun(t *testing.T, env []string, in string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "proxy")
	if err := os.Symlink(binary, name); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, problems strings.Builder
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(cleanEnv(t), env...), strings.NewReader(in), &out, &problems
	err = cmd.Run()
	return out.String(), problems.String(), err
}

func TestFlagsOfTheActionProxy(t *testing.T) {
	for _, args := range [][]string{{"-version"}, {"--version"}, {"-debug", "-version"}} {
		out, _, err := proxyRun(t, nil, "", args...)
		if err != nil || !strings.HasPrefix(out, "whiskaway ") || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
	if out := run(t, "runtime", "-version"); !strings.HasPrefix(out, "whiskaway ") {
		t.Errorf("as whiskaway runtime: %q", out)
	}
	if out, _, _ := proxyRun(t, nil, "", "-help"); !strings.Contains(out, `":8080"`) || !strings.Contains(out, "OW_COMPILER") {
		t.Errorf("the help is %s", out)
	}
	for want, args := range map[string][]string{
		"unknown flag: --nonsense":  {"-nonsense"},
		"belongs to --compile":      {"-env", "{}"},
		"a JSON object":             {"-compile", "main", "-env", "secret"},
		"such as main":              {"-compile="},
		"flag needs an argument":    {"-compile"},
		"no code on standard input": {"-compile", "main"},
		"takes no argument":         {"something"},
	} {
		out, problems, err := proxyRun(t, nil, "", args...)
		if err == nil || out != "" || !strings.Contains(problems, want) || strings.Contains(problems, "secret") {
			t.Errorf("%v: %q, %q, not %q", args, out, problems, want)
		}
	}
}

// With -debug the runtime says on stderr what it does.
func TestDebugFlag(t *testing.T) {
	name := filepath.Join(t.TempDir(), "proxy")
	if err := os.Symlink(binary, name); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := startBehind(t, []string{"/bin/sh", "-c", `shift; exec "$@"`, "sh"}, []string{"WHISKAWAY_READY_FD=3"}, []*os.File{w}, name, "-debug", "--listen", "127.0.0.1:0")
	w.Close()
	line := make([]byte, 64)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err, p.log())
	}
	c := &container{process: p, url: "http://" + strings.TrimSpace(string(line[:n])), http: http.DefaultClient}
	c.proxyInit(initBody("main", loopScript, nil))
	c.stop()
	if !strings.Contains(p.log(), "level=DEBUG") {
		t.Errorf("it logged %s", p.log())
	}
}

// A function that runs in its container sees what that was given, as with OpenWhisk's proxy, and while it
// loads the platform's variables of its first activation too.
func TestEnvironmentOfALocalFunction(t *testing.T) {
	names := []string{"FROM_DOCKERFILE", "LD_LIBRARY_PATH", "LANG", "HF_HOME", "FROM_INIT", "BOTH", "__OW_API_KEY", "__OW_ACTIVATION_ID", "__OW_OF_THE_IMAGE",
		"__OW_EXECUTION_ENV", "__OW_WAIT_FOR_ACK", "__OW_ACTION_NAME", "OW_COMPILER", "OW_DEBUG", "WHISKAWAY_KIND", "WHISKAWAY_TOKEN", "WHISKAWAY_TOKEN_FILE"}
	list, _ := json.Marshal(names)
	python := fmt.Sprintf("import os\nnames = %s\nloaded = {n: os.environ[n] for n in names if n in os.environ}\ndef main(args):\n    return {'loaded': loaded, 'run': os.environ['__OW_ACTIVATION_ID']}\n", list)
	node := fmt.Sprintf("const names = %s\nconst loaded = Object.fromEntries(names.filter(n => n in process.env).map(n => [n, process.env[n]]))\nfunction main () { return {loaded, run: process.env.__OW_ACTIVATION_ID} }\n", list)
	want := map[string]string{"FROM_DOCKERFILE": "1", "LD_LIBRARY_PATH": "/nowhere", "LANG": "de_DE.UTF-8", "HF_HOME": "/models", "FROM_INIT": "2", "BOTH": "init",
		"__OW_API_KEY": "key", "__OW_ACTIVATION_ID": "first", "__OW_OF_THE_IMAGE": "3", "__OW_EXECUTION_ENV": "image:1", "__OW_WAIT_FOR_ACK": "1", "__OW_ACTION_NAME": "/guest/f"}
	env := map[string]string{"FROM_INIT": "2", "BOTH": "init", "__OW_API_KEY": "key", "__OW_ACTIVATION_ID": "first", "__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/f"}
	for kind, code := range map[string]string{"python:3": python, "nodejs:20": node} {
		t.Run(kind, func(t *testing.T) {
			r := startRuntime(t, "WHISKAWAY_KIND="+kind, "WHISKAWAY_TOKEN="+testToken, "FROM_DOCKERFILE=1", "LD_LIBRARY_PATH=/nowhere", "LANG=de_DE.UTF-8", "HF_HOME=/models", "BOTH=image",
				"__OW_OF_THE_IMAGE=3", "__OW_API_KEY=image", "OW_EXECUTION_ENV=image:1", "OW_DEBUG=0")
			r.proxyInit(initBody("main", code, env))
			status, b := r.post("/run", runBody("{}", "second", time.Now().Add(patience)))
			var got struct {
				Loaded map[string]string
				Run    string
			}
			if err := json.Unmarshal([]byte(b), &got); err != nil || status != 200 {
				t.Fatalf("%d %s", status, b)
			}
			for _, name := range names {
				if got.Loaded[name] != want[name] {
					t.Errorf("%s is %q, not %q", name, got.Loaded[name], want[name])
				}
			}
			if got.Run != "second" {
				t.Errorf("the run's activation is %q", got.Run)
			}
		})
	}
}

// Parallel runs of a Node.js function share its one process, whose module has state; those of a Python function
// have several. Each run waits for the others, so they do overlap.
func TestParallelRunsInLocalMode(t *testing.T) {
	const runs = 6
	const node = "const here = []\nasync function main ({ n }) {\n  await new Promise(resolve => { if (here.push(resolve) === 6) here.forEach(go => go()) })\n" +
		"  return { pid: process.pid, n, id: process.env.__OW_ACTIVATION_ID }\n}\n"
	const python = "import os, time\ndef main(args):\n    open(os.path.join(args['dir'], str(args['n'])), 'w').close()\n    while len(os.listdir(args['dir'])) < 6:\n        time.sleep(0.005)\n    return {'pid': os.environ['TMPDIR'], 'n': args['n'], 'id': os.environ['__OW_ACTIVATION_ID']}\n"
	for kind, c := range map[string]struct {
		code      string
		processes int
	}{"nodejs:20": {node, 1}, "nodejs:default": {node, 1}, "python:3": {python, runs}} {
		t.Run(kind, func(t *testing.T) {
			r := startRuntime(t, "WHISKAWAY_KIND="+kind, "__OW_ALLOW_CONCURRENT=true")
			r.proxyInit(initBody("main", c.code, nil))
			dir := t.TempDir()
			var mu sync.Mutex
			var processes []string
			var wg sync.WaitGroup
			for n := range runs {
				wg.Go(func() {
					id := fmt.Sprint("activation-", n)
					status, b := r.post("/run", runBody(fmt.Sprintf(`{"n":%d,"dir":%q}`, n, dir), id, time.Now().Add(patience)))
					var got struct {
						Pid any
						N   int
						ID  string
					}
					if err := json.Unmarshal([]byte(b), &got); err != nil || status != 200 || got.N != n || got.ID != id {
						t.Errorf("run %d: %d %s", n, status, b)
					}
					mu.Lock()
					defer mu.Unlock()
					processes = append(processes, fmt.Sprint(got.Pid))
				})
			}
			wg.Wait()
			slices.Sort(processes)
			if got := len(slices.Compact(processes)); got != c.processes {
				t.Errorf("%d processes, not %d", got, c.processes)
			}
		})
	}
}

// The switch of OpenServerless makes the runtime a server, with the usual walls.
func TestTheProxysServerSwitch(t *testing.T) {
	p := start(t, []string{"OW_ACTIVATE_PROXY_SERVER=1", "WHISKAWAY_TOKEN=" + testToken}, nil, "runtime", "--listen", "127.0.0.1:0")
	url := p.waitFor(`listening on (\S+)`)
	r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+testToken)
	r.proxyInit(initBody("main@linux", "def main(args):\n    return args\n", nil))
	r.proxyAnswers(`{"n":1}`, `{"n":1}`)
}
