package test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	echoPy = "import os\ndef main(args):\n    return {'args': args, 'env': {k: v for k, v in os.environ.items() if k.startswith('__OW_')}, 'pid': os.getpid()}\n"
	echoJS = "function main(args) { console.log('to stdout'); console.error('to stderr'); return {args, activation: process.env.__OW_ACTIVATION_ID} }\n"
)

func zipOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// The path of the story, each part a process: local and on a server that joined.
func TestPathEndToEnd(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	serverDir := t.TempDir()
	s.startServer("llm", serverDir)
	for _, where := range []struct{ name, main, server string }{
		{"local", "main", ""}, {"own", "main@local", ""}, {"remote", "main@llm", "llm-box"},
	} {
		t.Run(where.name, func(t *testing.T) {
			t.Run("python", func(t *testing.T) { pythonFunction(t, s, where.main, where.server) })
			t.Run("node", func(t *testing.T) { nodeFunction(t, s, where.main) })
			t.Run("native", func(t *testing.T) { nativeFunction(t, s, where.main) })
		})
	}
	t.Run("status", func(t *testing.T) { statusShows(t, s) })
	s.stop()
	nothingLeft(t, s.dir)
}

func pythonFunction(t *testing.T, s *standalone, main, server string) {
	s.put("py", action{kind: "python:3", main: main, code: echoPy, annotations: `[{"key":"provide-api-key","value":true}]`})
	a := s.invoke("py", `{"name":"Ada","big":12345678901234567890,"float":1.10,"text":"ü\u20ac"}`)
	var r struct {
		Args json.RawMessage
		Env  map[string]string
	}
	if err := json.Unmarshal(a.Response.Result, &r); err != nil {
		t.Fatalf("%v: %s %v", err, a.Response.Result, a.Logs)
	}
	for _, want := range []string{`"big":12345678901234567890`, `"name":"Ada"`, `"float":1.1`, `€`} {
		if !bytes.Contains(bytes.ReplaceAll(r.Args, []byte(": "), []byte(":")), []byte(want)) {
			t.Errorf("the arguments came as %s, without %s", r.Args, want)
		}
	}
	for name, want := range map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/py", "__OW_ACTIVATION_ID": a.ActivationID, "__OW_API_HOST": s.api} {
		if r.Env[name] != want {
			t.Errorf("%s=%q, want %q", name, r.Env[name], want)
		}
	}
	for _, name := range []string{"__OW_DEADLINE", "__OW_ACTION_VERSION", "__OW_TRANSACTION_ID", "__OW_API_KEY"} {
		if r.Env[name] == "" {
			t.Errorf("%s is missing in %v", name, r.Env)
		}
	}
	if server != "" && !strings.Contains(fmt.Sprintf("%s", a.Annotations), server) {
		t.Errorf("the annotations do not name the server %s: %s", server, a.Annotations)
	}
}

func nodeFunction(t *testing.T, s *standalone, main string) {
	s.put("js", action{kind: "nodejs:20", main: main, code: echoJS})
	a := s.invoke("js", `{"name":"Ada"}`)
	if !strings.Contains(string(a.Response.Result), a.ActivationID) {
		t.Errorf("the result %s has not the activation id %s", a.Response.Result, a.ActivationID)
	}
	logs := strings.Join(a.Logs, "\n")
	if !strings.Contains(logs, "stdout: to stdout") || !strings.Contains(logs, "stderr: to stderr") || len(a.Logs) != 2 {
		t.Errorf("the logs are %q", a.Logs)
	}
}

func nativeFunction(t *testing.T, s *standalone, main string) {
	script := "#!/bin/bash\necho '{\"ok\":true}' >&3\nwhile read -r line; do echo log; echo \"$line\" >&3; done\n"
	s.put("native", action{kind: "native", main: main, zip: zipOf(t, map[string]string{"exec": script})})
	if got := s.result("native", `{"big":12345678901234567890}`); !strings.Contains(got, `"big":12345678901234567890`) {
		t.Errorf("the result is %s", got)
	}
}

func statusShows(t *testing.T, s *standalone) {
	out := run(t, "status", "--data", s.dir, "--json")
	var status struct {
		Servers   []struct{ Name string }
		Functions []struct{ Action, Kind string }
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(status.Servers) != 2 || len(status.Functions) == 0 {
		t.Errorf("the status is %s", out)
	}
	table := run(t, "status", "--balancer", s.balancer, "--token", s.token("admin"))
	for _, want := range []string{"llm-box", "/guest/py", "python:3", "llm"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
}

func TestArraysAreInputAndResult(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	s.put("array", action{kind: "python:3", main: "main@local", code: "def main(args):\n    return list(reversed(args))\n"})
	if got := s.result("array", `[1,"two",12345678901234567890]`); compact(t, got) != `[12345678901234567890,"two",1]` {
		t.Errorf("the result is %s", got)
	}
}

func compact(t *testing.T, text string) string {
	var buf bytes.Buffer
	if err := json.Compact(&buf, []byte(text)); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return buf.String()
}

func TestParametersAndEnvironment(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	code := "import os\ndef main(args):\n    return {'args': args, 'secret': os.environ.get('SECRET'), 'host': os.environ.get('WHISKAWAY_TOKEN_FILE')}\n"
	for _, main := range []string{"main", "main@local"} {
		s.put("env", action{kind: "python:default", main: main, code: code,
			parameters: `[{"key":"greeting","value":"hello"},{"key":"SECRET","value":"s3","init":true}]`})
		got := compact(t, s.result("env", `{"name":"Ada"}`))
		if want := `{"args":{"greeting":"hello","name":"Ada"},"secret":"s3","host":null}`; got != want {
			t.Errorf("%s: %s, want %s", main, got, want)
		}
	}
}

func TestMissingLabelIsNamed(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	s.put("gpu", action{kind: "python:3", main: "main@no-such-gpu", code: echoPy})
	a := s.invoke("gpu", `{}`)
	text := string(a.Response.Result)
	if a.Response.Success || !strings.Contains(text, "no-such-gpu") || !strings.Contains(text, "local") {
		t.Errorf("the error must name the label and those that are there: %s", text)
	}
}

// 16 callers of a function that sleeps: several workers, side by side.
func TestOverlappingRunsGetWorkersSideBySide(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	s.startServer("llm", t.TempDir())
	s.put("sleep", action{kind: "python:3", main: "main@llm", code: "import time, uuid\nworker = uuid.uuid4().hex\ndef main(args):\n    time.sleep(0.05)\n    return {'worker': worker, 'id': args['id']}\n"})
	const callers, each = 16, 13
	round := func() map[string]bool {
		var mu sync.Mutex
		workers := map[string]bool{} // process ids are no names: each worker has its own PID namespace
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range each {
					id := fmt.Sprintf("%d-%d", c, i)
					var r struct{ Worker, ID string }
					json.Unmarshal(s.invoke("sleep", `{"id":"`+id+`"}`).Response.Result, &r)
					if r.ID != id {
						t.Errorf("asked %s, answered %s", id, r.ID)
					}
					mu.Lock()
					workers[r.Worker] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return workers
	}
	round() // warm-up
	start := time.Now()
	workers := round()
	t.Logf("%d runs of 50 ms from %d callers took %v, on %d workers", callers*each, callers, time.Since(start), len(workers))
	if len(workers) < callers/2 {
		t.Errorf("only %d workers served %d callers", len(workers), callers)
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := startStandalone(t, dir)
	s.put("kept", action{kind: "nodejs:default", code: "exports.main = () => ({kept: true})"})
	id := s.invoke("kept", "{}").ActivationID
	auth := s.auth
	s.stop()
	s = startStandalone(t, dir)
	if s.auth != auth {
		t.Error("the key changed")
	}
	if got := compact(t, s.result("kept", "{}")); got != `{"kept":true}` {
		t.Errorf("the action answered %s", got)
	}
	if status, b := s.call("GET", "/namespaces/_/activations/"+id, ""); status != 200 || !bytes.Contains(b, []byte(id)) {
		t.Errorf("the activation is gone: %d %s", status, b)
	}
}

func TestSecretsOnDiskAreForTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := startStandalone(t, dir)
	for _, file := range []string{"wskprops", "tokens/join", "tokens/client", "tokens/admin"} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory has mode %v", info.Mode())
	}
	if prop(t, filepath.Join(dir, "wskprops"), "APIHOST") != s.api {
		t.Error("APIHOST is not where the platform listens")
	}
	key := s.auth[strings.IndexByte(s.auth, ':')+1:]
	for _, line := range []string{key, s.token("client"), s.token("admin")} {
		if strings.Contains(s.log()+strings.Join(s.lines(), ""), strings.Split(line, "~")[0]) {
			t.Error("a secret was printed")
		}
	}
	db, _ := filepath.Glob(filepath.Join(dir, "*.db*"))
	for _, file := range append(db, filepath.Join(dir, "tokens.json")) {
		if b, err := os.ReadFile(file); err != nil || bytes.Contains(b, []byte(key)) {
			t.Errorf("%s: %v, or it holds the key in plain", file, err)
		}
	}
}
