package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/server"
)

func TestAlwaysTrue8StartedOnceHoweverManyAsk(t *testing.T) {
	h := open(t)
	mark := filepath.Join(t.TempDir(), "mark")
	spec := python(env("MARK", mark))
	h.upload("guest")
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if _, err := h.Init(t.Context(), spec, function.Lease{ID: function.NewLeaseID()}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := lines(t, mark); n != 1 {
		t.Errorf("started %d times", n)
	}
	st := h.status("it", func(s function.Status) bool { return len(s.Functions) == 1 })
	if f := st.Functions[0]; f.Leases != 20 || f.Workers != 1 {
		t.Errorf("%+v", f)
	}
}

func TestAlwaysTrue8AStartOutlivesItsCallersPatience(t *testing.T) {
	h := open(t)
	dir := t.TempDir()
	mark, gate := filepath.Join(dir, "mark"), filepath.Join(dir, "gate")
	spec := python(func(s *function.Spec) { s.Env = map[string]string{"MARK": mark, "GATE": gate} })
	h.upload("guest")
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := h.Init(ctx, spec, function.Lease{ID: function.NewLeaseID()})
		left <- err
	}()
	eventually(t, "the start", func() bool { return lines(t, mark) == 1 })
	cancel()
	wantCode(t, <-left, function.CodeCancelled)
	touch(t, gate)
	h.status("the start's end", func(s function.Status) bool { return len(s.Functions) == 1 && s.Functions[0].State == "ready" })
	h.run(h.init(spec), `{}`)
	if n := lines(t, mark); n != 1 {
		t.Errorf("started %d times", n)
	}
}

func TestAnInitThatFailsTellsWhyAndLeavesNothing(t *testing.T) {
	h := open(t)
	broken := filepath.Join(t.TempDir(), "broken")
	touch(t, broken)
	spec := python(env("BROKEN", broken))
	h.upload("guest")
	for range 2 {
		_, err := h.Init(t.Context(), spec, function.Lease{ID: function.NewLeaseID()})
		e := wantCode(t, err, function.CodeInitFailed)
		if !strings.Contains(e.Logs, "cannot start today") {
			t.Errorf("the logs are %q", e.Logs)
		}
		eventually(t, "the directory goes", h.noFunctionDirs)
	}
	os.Remove(broken)
	h.run(h.init(spec), `{}`)
}

// A function that was ready and cannot start any more: the runs that wait for
// a start are told why, and Init tries again at once.
func TestAStartThatFailsLater(t *testing.T) {
	h := open(t)
	broken := filepath.Join(t.TempDir(), "broken")
	spec := python(env("BROKEN", broken))
	id := h.init(spec)
	touch(t, broken)
	h.try(t.Context(), id, `{"crash":1}`, patience)
	for range 2 {
		_, _, err := h.try(t.Context(), id, `{}`, patience)
		e := wantCode(t, err, function.CodeInitFailed)
		if !strings.Contains(e.Logs, "cannot start today") || e.RetryAfter <= 0 {
			t.Errorf("%+v", e)
		}
	}
	_, err := h.Init(t.Context(), spec, function.Lease{ID: function.NewLeaseID()})
	e := wantCode(t, err, function.CodeInitFailed)
	if !strings.Contains(e.Message, "broken on purpose") {
		t.Errorf("%+v", e)
	}
	os.Remove(broken)
	h.run(h.init(spec), `{}`)
}

func TestAStartThatTakesTooLong(t *testing.T) {
	h := open(t, func(c *server.Config) { c.StartTimeout = 200 * time.Millisecond })
	h.upload("guest")
	_, err := h.Init(t.Context(), python(env("GATE", filepath.Join(t.TempDir(), "never"))), function.Lease{ID: "a"})
	e := wantCode(t, err, function.CodeInitFailed)
	if !strings.Contains(e.Message, "200ms") {
		t.Errorf("%+v", e)
	}
	eventually(t, "the directory goes", h.noFunctionDirs)
}

// The first who needs code is asked for it; the others of the namespace wait, at most
// until the server ends.
func TestCodeIsAskedForOnce(t *testing.T) {
	h := open(t)
	spec := python(func(*function.Spec) {})
	_, err := h.Init(t.Context(), spec, function.Lease{ID: "first"})
	wantCode(t, err, function.CodeCodeMissing)
	others := make(chan error)
	for _, id := range []string{"second", "third"} {
		go func() {
			spec := python(func(*function.Spec) {})
			_, err := h.Init(t.Context(), spec, function.Lease{ID: id})
			others <- err
		}()
	}
	h.upload("guest")
	for range 2 {
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
}

func TestAWaitForCodeEndsWithTheServer(t *testing.T) {
	h := open(t)
	spec := python(func(*function.Spec) {})
	_, err := h.Init(t.Context(), spec, function.Lease{ID: "first"})
	wantCode(t, err, function.CodeCodeMissing)
	second := make(chan error)
	go func() {
		spec := python(func(*function.Spec) {})
		_, err := h.Init(t.Context(), spec, function.Lease{ID: "second"})
		second <- err
	}()
	h.Drain(t.Context())
	wantCode(t, <-second, function.CodeDraining)
}
