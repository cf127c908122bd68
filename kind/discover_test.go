package kind_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// realPython is the path of an interpreter that needs no shim.
func realPython(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestInterpretersSideBySide(t *testing.T) {
	set := discover(t, kind.Options{Interpreters: []string{"python:ml=" + realPython(t)}})
	version := ""
	for _, k := range set.Kinds() {
		if k.Name == "python:ml" {
			version = k.Version
		}
	}
	if !strings.HasPrefix(version, "3.") || !set.Serves("python:ml") || !set.Serves(kind.Python) {
		t.Errorf("found %v", set.Kinds())
	}
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, []byte("def main(a): pass"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd, err := set.Prepare(t.Context(), source(t, "python:ml", path), nil)
	if err != nil || cmd.Path != realPython(t) {
		t.Errorf("it is run by %q, %v", cmd.Path, err)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	script := filepath.Join(t.TempDir(), "compile")
	if err := os.WriteFile(script, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for setting, words := range map[string]string{
		"python3.12":                      "must look like",
		"python:3.12":                     "must look like",
		"python=/usr/bin/python3":         "must look like",
		"python:3.12=python3":             "must look like",
		"ruby:2.5=/usr/bin/ruby":          `no interpreter for "ruby"`,
		"python:3=/does/not/exist":        "no such file",
		"python:3=/bin/false":             "exit status 1",
		"python:3.99=" + realPython(t):    "its version is 3.",
		"nodejs:20=" + realPython(t):      "exit status",
		"compiler ruby:2.5":               "must look like",
		"compiler ruby:2.5=/no/compile":   "no such file",
		"compiler ruby:2.5=" + script:     "not executable",
		"compiler native:default=/bin/sh": "there already",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			opts, flag := kind.Options{Interpreters: []string{setting}}, "--kind"
			if rest, ok := strings.CutPrefix(setting, "compiler "); ok {
				opts, flag = kind.Options{Compilers: []string{rest}}, "--compiler"
			}
			_, err := kind.Discover(t.Context(), opts)
			if err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), words) {
				t.Errorf("got %v, want %s and %q", err, flag, words)
			}
		})
	}
}

// A virtual environment first in PATH is found; one that functions cannot run is passed over.
func TestFirstUsableInterpreterIsTaken(t *testing.T) {
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("PATH", filepath.Join(venv, "bin")+":"+os.Getenv("PATH"))
	var mu sync.Mutex // the languages are looked for at the same time
	var tried []kind.Command
	var logs bytes.Buffer
	usable := func(_ context.Context, c kind.Command) error {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(filepath.Base(c.Path), "python") {
			tried = append(tried, c)
		}
		if strings.HasPrefix(c.Path, venv) {
			return errors.New("it is hidden")
		}
		return nil
	}
	set := discover(t, kind.Options{Usable: usable, Log: slog.New(slog.NewTextHandler(&logs, nil))})
	if !set.Serves(kind.Python) || !strings.Contains(logs.String(), "it is hidden") || !strings.Contains(logs.String(), filepath.Join(venv, "bin", "python")) {
		t.Errorf("found %v, and said:\n%s", set.Kinds(), &logs)
	}
	if !strings.HasPrefix(tried[0].Path, venv) || !slices.Contains(tried[0].Readable, venv) || tried[0].Dir == "" {
		t.Errorf("tried first: %+v", tried[0])
	}
	if strings.HasPrefix(tried[1].Path, venv) {
		t.Errorf("tried then: %+v", tried[1])
	}
	_, err := kind.Discover(t.Context(), kind.Options{Usable: usable, Python: filepath.Join(venv, "bin", "python3")})
	if err == nil || !strings.Contains(err.Error(), "it is hidden") {
		t.Errorf("for the one that was named: %v", err)
	}
}

// What a function's process must see besides the system is in its command, also in a child's.
func TestCommandSaysWhatMustBeSeen(t *testing.T) {
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	parent := discover(t, kind.Options{Python: filepath.Join(venv, "bin", "python3")})
	name, value, _ := strings.Cut(parent.Environ()[0], "=")
	t.Setenv(name, value)
	t.Setenv("PATH", t.TempDir())
	code := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(code, []byte("def main(a): pass"), 0o644); err != nil {
		t.Fatal(err)
	}
	src := source(t, kind.Python, code)
	cmd, err := discover(t, kind.Options{}).Prepare(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{venv, src.LauncherDir} {
		if !slices.Contains(cmd.Readable, dir) {
			t.Errorf("%s is not among %v", dir, cmd.Readable)
		}
	}
	if slices.ContainsFunc(cmd.Readable, func(dir string) bool { return dir == "/" || strings.HasPrefix(dir, "/usr") }) || len(cmd.Writable) > 0 || cmd.EnvDir != "" {
		t.Errorf("command: %+v", cmd)
	}
}

func TestParentsWordThatIsBroken(t *testing.T) {
	t.Setenv("WHISKAWAY_KINDS", "{")
	if _, err := kind.Discover(t.Context(), kind.Options{}); err == nil || !strings.Contains(err.Error(), "WHISKAWAY_KINDS") {
		t.Errorf("got %v", err)
	}
}

// More specific versions than are there are refused, and what is there is said.
func TestKindThatIsNotThereNamesThoseThatAre(t *testing.T) {
	_, err := usual(t).Prepare(t.Context(), source(t, "python:2", zipFile(t)), nil)
	wantFault(t, err, function.CodeBadRequest, `the kind "python:2" cannot be run here; there are python:3 3.`)
}
