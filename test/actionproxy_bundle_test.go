package test

import (
	"archive/zip"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A bundleCase is code that is compiled on the fly, and the kind of the runtime that does it.
type bundleCase struct {
	kind, code string
	settings   []string
	files      []string // that the zip must hold besides exec
}

func bundleCases(t *testing.T) map[string]bundleCase {
	t.Helper()
	python := "import os\ndef hello(args):\n    return {'hello': args['name']}\n"
	archive, err := base64.StdEncoding.DecodeString(proxyZip(t, proxyFile{name: "__main__.py", text: "from lib.other import hello\n"}, proxyFile{name: "lib/other.py", text: python}))
	if err != nil {
		t.Fatal(err)
	}
	native := "#!/bin/sh\necho '{\"ok\":true}' >&3\nwhile read -r line; do echo '{\"hello\":\"you\"}' >&3; done\n"
	return map[string]bundleCase{
		"python":   {kind: "python:3", code: python, files: []string{"main__.py"}},
		"a zip":    {kind: "python:3", code: string(archive), files: []string{"__main__.py", "lib/other.py"}},
		"nodejs":   {kind: "nodejs:20", code: "const hello = async ({ name }) => ({ hello: name })\n"},
		"a module": {kind: "nodejs:20", code: "export function hello ({ name }) { return { hello: name } }\n"},
		"native":   {kind: "native", code: native},
		"no kind":  {code: native},
		"a script": {kind: "python:3", code: python, settings: []string{"OW_COMPILER=" + proxyScript(t, compileScript)}, files: []string{"exec__.py", "main__.py"}},
	}
}

// What is compiled on the fly is a zip that any action proxy runs as a precompiled action, ours and others,
// whatever kind it is told, and that is the same each time.
func TestCompileOnTheFly(t *testing.T) {
	for name, c := range bundleCases(t) {
		t.Run(name, func(t *testing.T) {
			env := append(c.settings, "WHISKAWAY_KIND="+c.kind, "OW_EXECUTION_ENV=image:1")
			packed, problems, err := proxyRun(t, env, c.code, "-compile", "hello", "-env", `{"COLOR":"blue","N":1}`)
			if err != nil || problems != "" {
				t.Fatalf("%v: %s", err, problems)
			}
			if again, _, _ := proxyRun(t, env, c.code, "-compile=hello", "-env", `{"COLOR":"blue","N":1}`); again != packed {
				t.Error("the second zip is another")
			}
			dir := unpackBundle(t, packed)
			for _, file := range append(c.files, "exec", "exec.env") {
				if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
					t.Error(err)
				}
			}
			body := proxyBinary("another", base64.StdEncoding.EncodeToString([]byte(packed)), nil)
			for _, settings := range [][]string{env, {"OW_EXECUTION_ENV=image:1"}, {"OW_COMPILER=/bin/false"}} {
				r := startRuntime(t, append(settings, "OW_WAIT_FOR_ACK=1")...)
				r.proxyInit(body)
				r.proxyAnswers(`{"name":"you"}`, `{"hello":"you"}`)
			}
			if got := elsewhere(t, dir); got != "{\"ok\":true}\n{\"hello\":\"you\"}\n" && got != "{\"ok\": true}\n{\"hello\": \"you\"}\n" {
				t.Errorf("another proxy would read %q", got)
			}
		})
	}
}

// Under another proxy a stream comes to one object, as its last item says.
func TestCompiledStreamsElsewhere(t *testing.T) {
	const python, node = "def main(args):\n    yield 1\n    %s\n", "function * main () { yield 1; %s }\n"
	for _, c := range []struct{ kind, code, want string }{
		{"python:3", fmt.Sprintf(python, "yield 2"), `{"items":[1,2]}`},
		{"python:3", fmt.Sprintf(python, "return {'a': [1.0, 'ü']}"), `{"a":[1.0,"ü"]}`},
		{"python:3", fmt.Sprintf(python, "yield {'result': 1}"), `{"items":[1,{"result":1}]}`},
		{"python:3", fmt.Sprintf(python, "raise ValueError('no')"), `{"error":"ValueError: no"}`},
		{"python:3", "def main(args):\n    yield from ()\n", `{"items":[]}`},
		{"nodejs:20", fmt.Sprintf(node, "yield 2"), `{"items":[1,2]}`},
		{"nodejs:20", fmt.Sprintf(node, "return { a: ['ü'] }"), `{"a":["ü"]}`},
		{"nodejs:20", fmt.Sprintf(node, "yield { result: null }"), `{"items":[1,{"result":null}]}`},
		{"nodejs:20", fmt.Sprintf(node, "throw new Error('no')"), `{"error":"Error: no"}`},
		{"nodejs:20", "function * main () {}\n", `{"items":[]}`},
	} {
		packed, problems, err := proxyRun(t, []string{"WHISKAWAY_KIND=" + c.kind}, c.code, "-compile", "main")
		if err != nil {
			t.Fatalf("%v: %s", err, problems)
		}
		if got, want := elsewhere(t, unpackBundle(t, packed)), "{\"ok\":true}\n"+c.want+"\n"; got != want {
			t.Errorf("%s: another proxy would read %q, want %q", c.code, got, want)
		}
	}
}

// unpackBundle unpacks a zip as the Go action proxy does.
func unpackBundle(t *testing.T, packed string) string {
	t.Helper()
	r, err := zip.NewReader(strings.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range r.File {
		if f.FileInfo().IsDir() {
			continue
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, f.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// elsewhere runs an unpacked action as the Go action proxy does: with fd 3, nearly no environment, one line
// for each run. It returns what comes on fd 3.
func elsewhere(t *testing.T, dir string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(filepath.Join(dir, "exec"))
	cmd.Env = []string{"__OW_WAIT_FOR_ACK=1", "__OW_EXECUTION_ENV=image:1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	cmd.Dir, cmd.ExtraFiles = "/", []*os.File{w}
	cmd.Stdin = io.MultiReader(strings.NewReader(runBodyOf(`{"name":"you"}`) + "\n"))
	out, err := cmd.CombinedOutput()
	w.Close()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func runBodyOf(value string) string { return `{"value":` + value + `,"activation_id":"id"}` }

// When compiling fails, nothing is written, and stderr says why.
func TestCompileOnTheFlyFails(t *testing.T) {
	for want, c := range map[string]bundleCase{
		"invalid syntax":           {kind: "python:3", code: "def main(:\n", settings: []string{"OW_COMPILER=" + proxyScript(t, compileScript)}},
		"OW_COMPILER=\"/no/such\"": {code: "x", settings: []string{"OW_COMPILER=/no/such"}},
		"left no executable":       {code: "x", settings: []string{"OW_COMPILER=" + proxyScript(t, "#!/bin/sh\n")}},
		"WHISKAWAY_KIND":           {code: "def main(args): pass\n"},
		"cobol":                    {kind: "cobol:74", code: "x"},
		"no __main__.py":           {kind: "python:3", code: bundleZip(t, proxyFile{name: "hello.py", text: "x"})},
		`"image:2" (exec.env), and this one is "image:1"`: {code: bundleZip(t, proxyFile{"exec", loopScript, 0o755}, proxyFile{name: "exec.env", text: "image:2"}),
			settings: []string{"OW_EXECUTION_ENV=image:1"}},
	} {
		out, problems, err := proxyRun(t, append(c.settings, "WHISKAWAY_KIND="+c.kind), c.code, "-compile", "main")
		if err == nil || out != "" || !strings.Contains(problems, want) {
			t.Errorf("%.40q: %v, %q, %q, not %q", c.code, err, out, problems, want)
		}
	}
}

// It can be told to stop while it waits for code, and leaves nothing.
func TestCompileOnTheFlyCanBeStopped(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	temp := t.TempDir()
	p := startBehind(t, []string{"/bin/sh", "-c", `exec "$@" <&3`, "sh"}, []string{"TMPDIR=" + temp}, []*os.File{r}, "runtime", "-compile", "main")
	eventually(t, "it waits for code", func() bool {
		code, _ := filepath.Glob(filepath.Join(temp, "whiskaway-compile-*", "code"))
		return len(code) > 0
	})
	p.stop()
	if p.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(p.log(), "told to stop") {
		t.Errorf("%v: %s", p.cmd.ProcessState, p.log())
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func bundleZip(t *testing.T, files ...proxyFile) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(proxyZip(t, files...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
