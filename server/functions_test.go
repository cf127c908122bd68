package server_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/server"
)

func TestEachFunctionHasAProcessAndADirectoryOfItsOwn(t *testing.T) {
	h := open(t)
	tokens, dirs := map[string]int{}, map[string]int{}
	for i, change := range []func(*function.Spec){
		nil,
		func(s *function.Spec) { s.Namespace = "other" },
		func(s *function.Spec) { s.Main = "other" },
		func(s *function.Spec) { s.Action = "package/whoami" },
		func(s *function.Spec) { s.APIHost = "https://elsewhere" },
		env("A", "b"),
	} {
		a, sum := h.run(h.init(python(change)), `{}`)
		tokens[a.Token], dirs[a.Cwd] = i, i
		if sum.Server != "box" || sum.Cold {
			t.Errorf("the summary is %+v", sum)
		}
		server, _ := sum.Took("server")
		inner, found := sum.Took("function")
		if !found || server < inner {
			t.Errorf("stations: %+v", sum.Stations)
		}
	}
	if len(tokens) != 6 || len(dirs) != 6 {
		t.Errorf("processes %v, directories %v; want 6 of each", tokens, dirs)
	}
}

func TestAlwaysTrue9NothingOfTheServersEnvironmentReachesAFunction(t *testing.T) {
	t.Setenv("SERVER_SECRET", "do not tell")
	t.Setenv("WHISKAWAY_TOKEN", "do not tell")
	t.Setenv("__OW_API_KEY", "do not tell")
	h := open(t)
	a, _ := h.run(h.init(python(func(s *function.Spec) {
		s.Env, s.APIHost = map[string]string{"MINE": "a b=c"}, "https://platform"
	})), `{}`)
	for name, value := range a.Env {
		if strings.Contains(value, "do not tell") {
			t.Errorf("the function sees %s=%s", name, value)
		}
	}
	for name, want := range map[string]string{"MINE": "a b=c", "__OW_API_HOST": "https://platform", "__OW_WAIT_FOR_ACK": "1", "LANG": "C.UTF-8"} {
		if a.Env[name] != want {
			t.Errorf("%s is %q, want %q", name, a.Env[name], want)
		}
	}
	for _, name := range []string{"HOME", "TMPDIR"} {
		info, err := os.Stat(a.Env[name])
		if err != nil || !strings.HasPrefix(a.Env[name], filepath.Join(h.dir, "functions")) || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is %q: %v", name, a.Env[name], err)
		}
	}
}

func TestWorkersRunSideBySide(t *testing.T) {
	h := open(t)
	id := h.init(python(nil))
	var mu sync.Mutex
	tokens := map[string]int{}
	var callers sync.WaitGroup
	runs := make(chan int, 200)
	for i := range 200 {
		runs <- i
	}
	close(runs)
	for range 16 {
		callers.Go(func() {
			for range runs {
				a, sum, err := h.try(t.Context(), id, `{"sleep":0.05}`, patience)
				if err != nil || sum.Outcome != function.OutcomeOK {
					t.Errorf("%+v, %v", sum, err)
				}
				mu.Lock()
				tokens[a.Token]++
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	if len(tokens) < 8 || len(tokens) > 16 {
		t.Errorf("%d processes served 16 callers: %v", len(tokens), tokens)
	}
}

func TestWorkersLimitHolds(t *testing.T) {
	h := open(t)
	id := h.init(python(func(s *function.Spec) { s.Require.Workers = 2 }))
	var mu sync.Mutex
	tokens := map[string]int{}
	var callers sync.WaitGroup
	for range 12 {
		callers.Go(func() {
			a, _, err := h.try(t.Context(), id, `{"sleep":0.05}`, patience)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			tokens[a.Token]++
			mu.Unlock()
		})
	}
	callers.Wait()
	if len(tokens) > 2 {
		t.Errorf("%d processes, at most 2 were asked for", len(tokens))
	}
}

func TestRunsOverlapInOneProcess(t *testing.T) {
	h := open(t)
	gate := filepath.Join(t.TempDir(), "gate")
	id := h.init(python(func(s *function.Spec) { s.Require.Workers, s.Require.Concurrency = 1, 4 }))
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() { h.try(t.Context(), id, `{"gate":"`+gate+`"}`, patience) })
	}
	h.status("four runs in one worker", func(s function.Status) bool { return s.Servers[0].Running == 4 && s.Servers[0].Workers == 1 })
	touch(t, gate)
	callers.Wait()
}

func TestAlwaysTrue10CrashHarmsNoOther(t *testing.T) {
	h := open(t)
	crashing, other := h.init(python(nil)), h.init(python(env("A", "other")))
	before, _ := h.run(other, `{}`)
	first, _ := h.run(crashing, `{}`)
	for range 3 {
		_, sum, err := h.try(t.Context(), crashing, `{"crash":1}`, patience)
		if err != nil || sum.Outcome != function.OutcomeCrashed {
			t.Fatalf("%+v, %v", sum, err)
		}
		again, sum := h.run(crashing, `{}`)
		if again.Token == first.Token || !sum.Cold {
			t.Errorf("after a crash: %+v, %+v", again.Token, sum)
		}
	}
	if after, _ := h.run(other, `{}`); after.Token != before.Token {
		t.Error("another function's process was restarted")
	}
}

func TestIdleWorkersStopDownToTheWarmOnes(t *testing.T) {
	h := open(t, func(c *server.Config) { c.IdleTTL = 20 * time.Millisecond })
	id, warm := h.init(python(nil)), h.init(python(func(s *function.Spec) { s.Require.Warm = 1 }))
	first, _ := h.run(warm, `{}`)
	st := h.status("no worker but the warm one", func(s function.Status) bool { return s.Servers[0].Workers == 1 })
	i := slices.IndexFunc(st.Functions, func(f function.FunctionStatus) bool { return f.ID == id })
	if f := st.Functions[i]; f.Workers != 0 || f.State != "ready" || f.Leases != 1 {
		t.Errorf("the function is %+v", f)
	}
	if again, _ := h.run(warm, `{}`); again.Token != first.Token {
		t.Error("the warm worker was stopped")
	}
	if _, sum := h.run(id, `{}`); !sum.Cold {
		t.Errorf("from zero, but not cold: %+v", sum)
	}
}

func TestStatus(t *testing.T) {
	h := open(t)
	id := h.init(python(nil))
	h.run(id, `{}`)
	st := h.status("one run", func(s function.Status) bool { return len(s.Functions) == 1 && s.Functions[0].Runs == 1 })
	s, f := st.Servers[0], st.Functions[0]
	for _, label := range []string{runtime.GOOS, runtime.GOARCH, "region=eu"} {
		if !slices.Contains(s.Labels, label) {
			t.Errorf("the label %s is missing in %v", label, s.Labels)
		}
	}
	if s.ID != h.ID() || s.Name != "box" || len(s.Kinds) == 0 || len(s.Walls) == 0 || s.Workers != 1 || s.CPUs < 1 || s.Memory.Budget <= 0 {
		t.Errorf("the server is %+v", s)
	}
	if f.ID != id || f.Server != s.ID || f.Action != "whoami" || f.State != "ready" || f.Idle != 1 || f.Leases != 1 {
		t.Errorf("the function is %+v", f)
	}
	h.status("the worker's memory", func(s function.Status) bool { return s.Servers[0].Memory.Used > 1<<20 })
}

// A function that crashes again and again gets a pause, and says so.
func TestCrashLoopBacksOffAndSaysSo(t *testing.T) {
	h := open(t)
	id := h.init(python(nil))
	for n := range 3 {
		_, sum, err := h.try(t.Context(), id, `{"crash":1}`, patience)
		if err != nil || sum.Outcome != function.OutcomeCrashed || !strings.Contains(sum.Error, "exited with code 3") {
			t.Fatalf("crash %d: %+v, %v", n, sum, err)
		}
	}
	_, _, err := h.try(t.Context(), id, `{}`, patience)
	e := wantCode(t, err, function.CodeInitFailed)
	if !strings.Contains(e.Message, "crashed 3 times") || !strings.Contains(e.Message, "exited with code 3") || e.RetryAfter <= 0 {
		t.Errorf("it says %q, retry after %v", e.Message, e.RetryAfter)
	}
	eventually(t, "the pause is over", func() bool {
		_, sum, err := h.try(t.Context(), id, `{}`, patience)
		return err == nil && sum.Outcome == function.OutcomeOK
	})
	// A run that ends well makes it forget: the next crash is the first again.
	h.try(t.Context(), id, `{"crash":1}`, patience)
	h.run(id, `{}`)
}

// A run that ends within its grace keeps its worker, although it was cut.
func TestRunThatEndsWithinItsGraceKeepsItsWorker(t *testing.T) {
	h := open(t)
	id := h.init(python(nil))
	first, _ := h.run(id, `{}`)
	_, sum, err := h.try(t.Context(), id, `{"sleep":1000}`, 100*time.Millisecond)
	if err != nil || sum.Outcome != function.OutcomeTimeout {
		t.Fatalf("%+v, %v", sum, err)
	}
	if again, _ := h.run(id, `{}`); again.Token != first.Token {
		t.Error("the worker was ended although the run ended at once when it was asked to")
	}
}
