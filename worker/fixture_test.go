package worker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/worker"
)

// The test binary is also the shim.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "shim" {
		os.Exit(sandbox.ShimMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

var discover = sync.OnceValues(func() (*kind.Set, error) {
	return kind.Discover(context.Background(), kind.Options{})
})

// prepare makes a command of source text, or of a zip.
func prepare(t testing.TB, name, main, code string) kind.Command {
	t.Helper()
	set, err := discover()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	file, dir := filepath.Join(base, "code"), filepath.Join(base, "dir")
	if err := os.WriteFile(file, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd, err := set.Prepare(t.Context(), kind.Source{
		Kind: name, Main: main, CodePath: file, Binary: name == kind.Native || strings.HasPrefix(code, "PK"),
		Dir: dir, EnvsDir: filepath.Join(base, "envs"), LauncherDir: filepath.Join(base, "launchers"),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// raceOption keeps the shim from waiting a second at its exit under the race detector.
const raceOption = "GORACE=atexit_sleep_ms=0"

// A knob changes the usual configuration.
type knob func(*worker.Config)

func tryStart(t testing.TB, name, code string, knobs ...knob) (*worker.Worker, error) {
	t.Helper()
	return tryStartMain(t, name, "main", code, knobs...)
}

func tryStartMain(t testing.TB, name, main, code string, knobs ...knob) (*worker.Worker, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := worker.Config{Command: prepare(t, name, main, code), Shim: []string{"/usr/bin/env", raceOption, exe, "shim"}, StartTimeout: 30 * time.Second}
	for _, k := range knobs {
		k(&cfg)
	}
	return worker.Start(t.Context(), cfg)
}

func start(t testing.TB, name, code string, knobs ...knob) *worker.Worker {
	t.Helper()
	return startMain(t, name, "main", code, knobs...)
}

// startMain starts a function whose main is called otherwise.
func startMain(t testing.TB, name, main, code string, knobs ...knob) *worker.Worker {
	t.Helper()
	w, err := tryStartMain(t, name, main, code, knobs...)
	if err != nil {
		t.Fatalf("%v\n%s", err, function.AsError(err).Logs)
	}
	t.Cleanup(w.Stop)
	return w
}

// A recorder is an Output that keeps everything.
type recorder struct {
	stdout, stderr strings.Builder
	results        []string
	err            error // what Write returns
}

func (r *recorder) Write(s function.Stream, p []byte) error {
	switch s {
	case function.Stdout:
		r.stdout.Write(p)
	case function.Stderr:
		r.stderr.Write(p)
	case function.Result:
		r.results = append(r.results, string(p))
	}
	return r.err
}

func (r *recorder) result() string { return strings.Join(r.results, "|") }

func run(t testing.TB, w *worker.Worker, body string) (*recorder, function.Summary) {
	t.Helper()
	return runWithin(t, w, body, 30*time.Second)
}

func runWithin(t testing.TB, w *worker.Worker, body string, timeout time.Duration) (*recorder, function.Summary) {
	t.Helper()
	var out recorder
	sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(body)), Timeout: timeout}, &out)
	if err != nil {
		t.Fatalf("the run never started: %v", err)
	}
	return &out, sum
}

// value wraps a run's argument as the platform does.
func value(json string) string { return fmt.Sprintf(`{"value":%s}`, json) }

func want(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %.300q, want %.300q", what, got, want)
	}
}

func wantOutcome(t testing.TB, sum function.Summary, outcome function.Outcome, words string) {
	t.Helper()
	if sum.Outcome != outcome || !strings.Contains(sum.Error, words) || (words == "") != (sum.Error == "") {
		t.Errorf("outcome %q, %q; want %q, %q", sum.Outcome, sum.Error, outcome, words)
	}
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}
