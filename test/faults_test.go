package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// leavesChildren forks a grandchild that leaves the session, then waits.
const leavesChildren = `
import os, subprocess, time
def main(args):
    subprocess.Popen(["setsid", "sleep", "1000"], start_new_session=True)
    open(args["started"], "w").close()
    time.sleep(1000 if args.get("wait") else 0)
    return {"pid": os.getpid()}
`

func TestAlwaysTrue4And6ServerKilledDuringARun(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	serverDir, share := t.TempDir(), shared(t)
	server := s.startServer("llm", serverDir, "--share", share)
	s.put("wait", action{kind: "python:3", main: "main@llm", code: leavesChildren})
	started := filepath.Join(share, "started")

	begun := time.Now()
	answer := s.invokeBeside("wait", `{"wait":true,"started":"`+started+`"}`)
	eventually(t, "the run starts", func() bool { _, err := os.Stat(started); return err == nil })
	server.kill()
	a := <-answer
	text := string(a.Response.Result)
	if a.Response.Success || !strings.Contains(text, "lost") && !strings.Contains(text, "may have run") {
		t.Errorf("the caller was told %s", text)
	}
	if took := time.Since(begun); took > 50*time.Second {
		t.Errorf("the caller was told only after %v, its time limit is 60 s", took)
	}
	nothingLeft(t, serverDir)

	s.startServer("llm", serverDir, "--share", share)
	if got := s.result("wait", `{"started":"`+started+`"}`); !strings.Contains(got, "pid") {
		t.Errorf("after the restart: %s", got)
	}
}

// A server that is told to stop ends what runs, and its balancer sends nothing new there.
func TestServerThatStopsEndsItsRuns(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	share := shared(t)
	server := s.startServer("llm", t.TempDir(), "--share", share)
	started := filepath.Join(share, "started")
	s.put("slow", action{kind: "python:3", main: "main@llm", code: "import time\ndef main(args):\n    open(args['started'], 'w').close()\n    time.sleep(1)\n    return {'whole': True}\n"})
	answer := s.invokeBeside("slow", `{"started":"`+started+`"}`)
	eventually(t, "the run starts", func() bool { _, err := os.Stat(started); return err == nil })
	server.stop()
	if got := compact(t, string((<-answer).Response.Result)); got != `{"whole":true}` {
		t.Errorf("the run that was under way answered %s", got)
	}
}

func TestAlwaysTrue6InvocationWaitsForTheServerToComeBack(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	serverDir := t.TempDir()
	server := s.startServer("llm", serverDir)
	s.put("py", action{kind: "python:3", main: "main@llm", code: echoPy})
	s.result("py", `{}`)
	server.kill()
	eventually(t, "the balancer notices", func() bool {
		return !strings.Contains(run(t, "status", "--data", s.dir, "--json"), "llm-box")
	})
	answer := s.invokeBeside("py", `{"after":true}`)
	s.startServer("llm", serverDir)
	if got := string((<-answer).Response.Result); !strings.Contains(got, "after") {
		t.Errorf("the waiting call got %s", got)
	}
}

func TestAlwaysTrue4NothingOutlivesAKilledPlatform(t *testing.T) {
	dir, share := t.TempDir(), shared(t)
	s := startStandalone(t, dir, "--share", share)
	for i, main := range []string{"main", "main@local"} {
		name := fmt.Sprint("left", i)
		s.put(name, action{kind: "python:3", main: main, code: leavesChildren})
		s.result(name, `{"started":"`+filepath.Join(share, name)+`"}`)
	}
	if len(processesWith(dir)) < 3 {
		t.Fatalf("the test sees only these processes: %v", processesWith(dir))
	}
	s.kill()
	nothingLeft(t, dir)
	s = startStandalone(t, dir)
	s.put("after", action{kind: "python:3", code: echoPy})
	s.result("after", `{}`)
	s.stop()
	for _, sub := range []string{"containers", "server/functions"} {
		if left, _ := os.ReadDir(filepath.Join(dir, sub)); len(left) > 0 {
			t.Errorf("%s still holds %v", sub, left)
		}
	}
}

func TestAlwaysTrue3LogsOfAFailedRunComeWithIt(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	code := "import os\ndef main(args):\n    print('before', args['how'], flush=True)\n    if args['how'] == 'raise': raise ValueError('told you')\n    if args['how'] == 'exit': os._exit(3)\n    while True: pass\n"
	for _, main := range []string{"main", "main@local"} {
		s.put("fail", action{kind: "python:3", main: main, code: code, timeout: 2000})
		for how, want := range map[string]string{"raise": "told you", "exit": "code 3", "loop": "time limit"} {
			a := s.invoke("fail", `{"how":"`+how+`"}`)
			text := string(a.Response.Result) + strings.Join(a.Logs, "\n")
			if a.Response.Success || !strings.Contains(text, want) {
				t.Errorf("%s, %s: %s", main, how, text)
			}
			if logs := strings.Join(a.Logs, "\n"); !strings.Contains(logs, "stdout: before "+how) || strings.Count(logs, "before") != 1 {
				t.Errorf("%s, %s: the logs are %q", main, how, a.Logs)
			}
		}
	}
}

func TestInitErrorsAreTheFunctionsOwn(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	for _, main := range []string{"main", "main@local"} {
		for name, c := range map[string]struct {
			a    action
			want string
		}{
			"import":       {action{kind: "python:3", code: "import no_such_module\n"}, "no_such_module"},
			"syntax":       {action{kind: "nodejs:20", code: "function main( {"}, "SyntaxError"},
			"no main":      {action{kind: "python:3", code: "x = 1\n"}, "main"},
			"no entry":     {action{kind: "python:3", zip: zipOf(t, map[string]string{"other.py": ""})}, "__main__.py"},
			"bad zip":      {action{kind: "python:3", zip: append(zipOf(t, map[string]string{"__main__.py": "x"})[:40], 1, 2, 3)}, "zip"},
			"index option": {action{kind: "python:3", zip: zipOf(t, map[string]string{"__main__.py": echoPy, "requirements.txt": "--index-url https://example.com\nsix\n"})}, "index"},
		} {
			c.a.main = main
			s.put("broken", c.a)
			a := s.invoke("broken", `{}`)
			if text := string(a.Response.Result) + strings.Join(a.Logs, "\n"); a.Response.Success || !strings.Contains(text, c.want) {
				t.Errorf("%s, %s: %d %s", main, name, a.StatusCode, text)
			}
		}
	}
}

// What is neither an object nor an array is refused in OpenWhisk's words.
func TestOtherResultsAreDeveloperErrors(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	for _, main := range []string{"main", "main@local"} {
		for kind, code := range map[string]string{"python:3": "def main(args):\n    return 'text'\n", "nodejs:20": "function main() { return 7 }"} {
			s.put("other", action{kind: kind, main: main, code: code})
			a := s.invoke("other", `{}`)
			if !strings.Contains(string(a.Response.Result), "The action did not return a dictionary or array.") || a.StatusCode != 2 {
				t.Errorf("%s, %s: %d %s", kind, main, a.StatusCode, a.Response.Result)
			}
		}
	}
}

// removable returns a directory that goes away after the test although the
// environments of dependencies in it are read-only.
func removable(t *testing.T) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return dir
}

// Needs PyPI, as the demo does.
func TestRequirementsAreInstalledOnce(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	serverDir := removable(t)
	s.startServer("llm", serverDir)
	files := map[string]string{"__main__.py": "import six\ndef main(args):\n    return {'six': six.__version__, 'file': six.__file__}\n", "requirements.txt": "six==1.17.0\n"}
	for i := range 2 { // two functions, one environment
		name := fmt.Sprint("six", i)
		s.put(name, action{kind: "python:3", main: "main@llm", zip: zipOf(t, files), timeout: 300000})
		if got := s.result(name, `{}`); !strings.Contains(got, "1.17.0") || !strings.Contains(got, serverDir) {
			t.Errorf("%s: %s", name, got)
		}
	}
	files["requirements.txt"] = "six==999.0\n"
	s.put("never", action{kind: "python:3", main: "main@llm", zip: zipOf(t, files), timeout: 300000})
	a := s.invoke("never", `{}`)
	if text := string(a.Response.Result) + strings.Join(a.Logs, "\n"); a.Response.Success || !strings.Contains(text, "No matching distribution found for six==999.0") {
		t.Errorf("pip's own words are missing: %s", text)
	}
}

func TestBigBodiesAndResults(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	s.put("big", action{kind: "python:3", main: "main@local", code: "def main(args):\n    return {'n': len(args['text']), 'text': 'y' * args['want']}\n"})
	body, _ := json.Marshal(map[string]any{"text": strings.Repeat("x", 900_000), "want": 900_000})
	a := s.invoke("big", string(body))
	if !a.Response.Success || !bytes.Contains(a.Response.Result, []byte("900000")) || len(a.Response.Result) < 900_000 {
		t.Errorf("%d bytes: %.200s", len(a.Response.Result), a.Response.Result)
	}
}
