package server_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/server"
)

// harsh does what functions should not do.
const harsh = `
import os, sys, time
def main(args):
    how = args.get("how")
    if how == "close":
        os.closerange(args["first"], args["last"] + 1)
    if how == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(10000)
            os._exit(0)
        os.wait()
    if how == "crash daemon":
        if os.fork() == 0:
            os.setsid()
            time.sleep(10000)
        print("last words", flush=True)
        os._exit(4)
    if how == "print":
        while True: print("x" * 10000)
    if how == "garbage":
        for fd in range(3, 20):
            try: os.write(fd, b"\x07garbage, and more of it\n")
            except OSError: pass
    if how == "large":
        return {"x": "x" * (65 << 20)}
    return args
`

// initHarsh makes the server ready for harsh.
func initHarsh(h *host) function.ID {
	h.t.Helper()
	digest := function.DigestOf([]byte(harsh))
	if err := h.PutCode(h.t.Context(), "guest", digest, strings.NewReader(harsh)); err != nil {
		h.t.Fatal(err)
	}
	lease := function.Lease{ID: function.NewLeaseID()}
	id, err := h.Init(h.t.Context(), function.Spec{Namespace: "guest", Action: "harsh", Kind: kind.Python, Main: "main", Code: digest}, lease)
	if err != nil {
		h.t.Fatal(err)
	}
	h.claim[id] = function.Claim{Lease: lease.ID, Namespace: "guest"}
	return id
}

// Whatever a run does to its process, it ends with a word about it, and the next
// run works.
func TestAlwaysTrue10RunsThatHarmTheirOwnProcess(t *testing.T) {
	h := open(t)
	id := initHarsh(h)
	for name, c := range map[string]struct {
		args    string
		timeout time.Duration
		want    []function.Outcome
	}{
		"closes stdin":           {`{"how":"close","first":0,"last":0}`, patience, []function.Outcome{function.OutcomeOK}},
		"closes its logs":        {`{"how":"close","first":1,"last":2}`, patience, []function.Outcome{function.OutcomeOK}},
		"closes fd 3":            {`{"how":"close","first":3,"last":3}`, patience, []function.Outcome{function.OutcomeOK, function.OutcomeCrashed}},
		"closes all":             {`{"how":"close","first":0,"last":100}`, patience, []function.Outcome{function.OutcomeCrashed}},
		"leaves a daemon":        {`{"how":"daemon"}`, patience, []function.Outcome{function.OutcomeOK}},
		"leaves one and crashes": {`{"how":"crash daemon"}`, patience, []function.Outcome{function.OutcomeCrashed}},
		"prints without end":     {`{"how":"print"}`, 300 * time.Millisecond, []function.Outcome{function.OutcomeTimeout}},
		"writes garbage":         {`{"how":"garbage"}`, patience, []function.Outcome{function.OutcomeCrashed}},
		"answers too much":       {`{"how":"large"}`, patience, []function.Outcome{function.OutcomeTooLarge}},
		"a millisecond":          {`{}`, time.Millisecond, []function.Outcome{function.OutcomeOK, function.OutcomeTimeout}},
		"20 MB":                  {`{"x":"` + strings.Repeat("y", 20<<20) + `"}`, patience, []function.Outcome{function.OutcomeOK}},
	} {
		t.Run(name, func(t *testing.T) {
			silent := function.OutputFunc(func(function.Stream, []byte) error { return nil })
			sum, err := h.Run(t.Context(), id, h.claim[id], activation(c.args, c.timeout), silent)
			if !slices.Contains(c.want, sum.Outcome) && function.CodeOf(err) != function.CodeTimeout {
				t.Errorf("%+v, %v", sum, err)
			}
			var result strings.Builder
			sum, err = h.Run(t.Context(), id, h.claim[id], activation(`{"next":1}`, patience), function.OutputFunc(func(s function.Stream, p []byte) error {
				if s == function.Result {
					result.Write(p)
				}
				return nil
			}))
			if err != nil || sum.Outcome != function.OutcomeOK || result.String() != `{"next":1}` {
				t.Errorf("the next run: %+v, %v, %q", sum, err, result.String())
			}
		})
	}
}

// A data directory may lie anywhere: behind a link, with any name, given as a
// relative path.
func TestDataDirectoriesWithOddNames(t *testing.T) {
	base := t.TempDir()
	odd := filepath.Join(base, "my data ü 'x' $HOME")
	if err := os.Mkdir(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(odd, filepath.Join(base, "a link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(base)
	for _, dir := range []string{odd, filepath.Join(base, "a link", "below"), "relative dir"} {
		h := open(t, func(c *server.Config) { c.Dir = dir })
		id := h.init(python(nil))
		if a, _ := h.run(id, `{}`); !strings.HasSuffix(a.Cwd, "/code") {
			t.Errorf("%q: it ran in %q", dir, a.Cwd)
		}
		h.close()
	}
}

// Clients that come and go quickly, while others run it, never see another
// function's end, and leave nothing.
func TestOneFunctionInitedAndStoppedByManyAtOnce(t *testing.T) {
	h := open(t, func(c *server.Config) { c.LeaseGrace = time.Millisecond })
	spec := python(nil)
	h.upload("guest")
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 6 {
				lease := function.Lease{ID: function.NewLeaseID()}
				id, err := h.Init(t.Context(), spec, lease)
				if err != nil {
					t.Error(err)
					return
				}
				claim := function.Claim{Lease: lease.ID, Namespace: "guest"}
				sum, err := h.Run(t.Context(), id, claim, activation(`{}`, patience), function.OutputFunc(func(function.Stream, []byte) error { return nil }))
				if err != nil || sum.Outcome != function.OutcomeOK {
					t.Errorf("%+v, %v", sum, err)
				}
				if err := h.Stop(t.Context(), id, claim); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond) // so that the grace ends now and then
			}
		})
	}
	clients.Wait()
	h.status("nothing", func(s function.Status) bool { return len(s.Functions) == 0 })
	eventually(t, "the directories go", h.noFunctionDirs)
}

// Close does not wait for a start that would take long, nor does who waits for it.
func TestCloseDuringAStart(t *testing.T) {
	h := open(t)
	h.upload("guest")
	mark := filepath.Join(t.TempDir(), "mark")
	ended := make(chan error, 1)
	go func() {
		spec := python(func(s *function.Spec) { s.Env = map[string]string{"MARK": mark, "GATE": filepath.Join(h.dir, "never")} })
		_, err := h.Init(context.Background(), spec, function.Lease{ID: "x"})
		ended <- err
	}()
	eventually(t, "the start", func() bool { return lines(t, mark) == 1 })
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wantCode(t, <-ended, function.CodeDraining)
	if _, err := os.Stat(filepath.Join(h.dir, "functions")); !os.IsNotExist(err) {
		t.Errorf("the functions' directory is left: %v", err)
	}
}
