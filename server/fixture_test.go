package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/server"
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

// walls are looked for once: a trial takes longer than most tests.
var walls = sync.OnceValue(func() sandbox.Walls {
	exe, err := os.Executable()
	if err != nil {
		return sandbox.Walls{}
	}
	return sandbox.Detect(context.Background(), []string{exe, "shim"}, slog.New(slog.DiscardHandler))
})

// patience is how long an event may take that is waited for.
const patience = 30 * time.Second

// whoami is a function whose answer tells its process: a token that it drew at
// its start. It notes its start in the file MARK, and crashes, sleeps, or waits for a file to appear when told so.
const whoami = `
import os, time
TOKEN = os.urandom(8).hex()
if "MARK" in os.environ:
    with open(os.environ["MARK"], "a") as f: f.write(TOKEN + "\n")
while "GATE" in os.environ and not os.path.exists(os.environ["GATE"]): time.sleep(0.01)
if "BROKEN" in os.environ and os.path.exists(os.environ["BROKEN"]):
    print("cannot start today")
    raise ValueError("broken on purpose")
def main(args):
    if "began" in args:
        with open(args["began"], "a") as f: f.write("x")
    if "crash" in args: os._exit(3)
    while "gate" in args and not os.path.exists(args["gate"]): time.sleep(0.005)
    time.sleep(args.get("sleep", 0))
    return {"token": TOKEN, "env": dict(os.environ), "cwd": os.getcwd()}
def other(args):
    return main(args)
`

// A host is a server with helpers.
type host struct {
	*server.Server
	t     testing.TB
	dir   string
	claim map[function.ID]function.Claim
	mu    sync.Mutex
}

func config(t testing.TB, dir string) server.Config {
	t.Helper()
	kinds, err := discover()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return server.Config{Dir: dir, Name: "box", Version: "test", Labels: []string{"region=eu"}, Kinds: kinds, Shim: []string{exe, "shim"}, Walls: walls()}
}

// open starts a server, which the end of the test closes.
func open(t testing.TB, knobs ...func(*server.Config)) *host {
	t.Helper()
	c := config(t, t.TempDir())
	for _, k := range knobs {
		k(&c)
	}
	s, err := server.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Server: s, t: t, dir: c.Dir, claim: map[function.ID]function.Claim{}}
	t.Cleanup(func() { h.close() })
	return h
}

// close ends the server; what runs is not waited for.
func (h *host) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Close(ctx); err != nil {
		h.t.Error(err)
	}
}

func python(change func(*function.Spec)) function.Spec {
	spec := function.Spec{Namespace: "guest", Action: "whoami", Kind: kind.Python, Main: "main", Code: function.DigestOf([]byte(whoami))}
	if change != nil {
		change(&spec)
	}
	return spec
}

func env(name, value string) func(*function.Spec) {
	return func(s *function.Spec) { s.Env = map[string]string{name: value} }
}

// upload stores whoami for a namespace.
func (h *host) upload(namespace string) {
	h.t.Helper()
	if err := h.PutCode(h.t.Context(), namespace, function.DigestOf([]byte(whoami)), strings.NewReader(whoami)); err != nil {
		h.t.Fatal(err)
	}
}

// init makes the server ready for a function whose code is whoami.
func (h *host) init(spec function.Spec) function.ID {
	h.t.Helper()
	h.upload(spec.Namespace)
	lease := function.Lease{ID: function.NewLeaseID()}
	id, err := h.Init(h.t.Context(), spec, lease)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, function.AsError(err).Logs)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.claim[id] = function.Claim{Lease: lease.ID, Namespace: spec.Namespace}
	return id
}

// An answer is what whoami returns.
type answer struct {
	Token string
	Env   map[string]string
	Cwd   string
}

// try runs a function once, with its newest claim.
func (h *host) try(ctx context.Context, id function.ID, args string, timeout time.Duration) (answer, function.Summary, error) {
	h.mu.Lock()
	claim := h.claim[id]
	h.mu.Unlock()
	var result []byte
	sum, err := h.Run(ctx, id, claim, activation(args, timeout), function.OutputFunc(func(s function.Stream, p []byte) error {
		if s == function.Result {
			result = append(result, p...)
		}
		return nil
	}))
	var a answer
	if err == nil && sum.Outcome == function.OutcomeOK {
		err = json.Unmarshal(result, &a)
	}
	return a, sum, err
}

func activation(args string, timeout time.Duration) *function.Activation {
	body := fmt.Appendf(nil, `{"value":%s}`, args)
	return &function.Activation{Body: function.BytesBody(body), Timeout: timeout}
}

// run must succeed.
func (h *host) run(id function.ID, args string) (answer, function.Summary) {
	h.t.Helper()
	a, sum, err := h.try(h.t.Context(), id, args, patience)
	if err != nil || sum.Outcome != function.OutcomeOK {
		h.t.Fatalf("%+v, %v", sum, err)
	}
	return a, sum
}

// status is the next one that is as wanted.
func (h *host) status(what string, wanted func(function.Status) bool) function.Status {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	enough := errors.New("enough")
	var last function.Status
	err := h.Watch(ctx, func(s function.Status) error {
		if last = s; wanted(s) {
			return enough
		}
		return nil
	})
	if err != enough {
		h.t.Fatalf("waiting for %s: %v; the last status was %+v", what, err, last)
	}
	return last
}

func (h *host) functionDirs() []string {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.dir, "functions"))
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (h *host) noFunctionDirs() bool { return len(h.functionDirs()) == 0 }

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func wantCode(t testing.TB, err error, code function.Code) *function.Error {
	t.Helper()
	if function.CodeOf(err) != code {
		t.Fatalf("got %v (%s), want the code %s", err, function.CodeOf(err), code)
	}
	return function.AsError(err)
}

// lines counts the lines of a file; none when it is not there.
func lines(t testing.TB, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
