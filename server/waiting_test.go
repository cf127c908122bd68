package server_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/server"
)

// busy makes a function whose only worker is taken until the gate opens.
func busy(t *testing.T, h *host) (id function.ID, gate string, ended chan error) {
	t.Helper()
	gate = filepath.Join(t.TempDir(), "gate")
	id = h.init(python(func(s *function.Spec) { s.Require.Workers = 1 }))
	ended = make(chan error, 1)
	go func() {
		_, _, err := h.try(t.Context(), id, `{"gate":"`+gate+`"}`, patience)
		ended <- err
	}()
	h.status("the run", func(s function.Status) bool { return s.Servers[0].Running == 1 })
	return id, gate, ended
}

func TestAlwaysTrue7EveryWaitEndsAndNothingHasStarted(t *testing.T) {
	h := open(t)
	id, gate, ended := busy(t, h)
	began := filepath.Join(t.TempDir(), "began")
	args := `{"began":"` + began + `"}`

	_, _, err := h.try(t.Context(), id, args, 20*time.Millisecond)
	wantCode(t, err, function.CodeTimeout)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err = h.try(ctx, id, args, 0)
	wantCode(t, err, function.CodeTimeout)
	ctx, cancel = context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := h.try(ctx, id, args, patience)
		left <- err
	}()
	h.status("the waiting run", func(s function.Status) bool { return s.Servers[0].Queued == 1 })
	cancel()
	wantCode(t, <-left, function.CodeCancelled)

	touch(t, gate)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	h.run(id, `{}`)
	if matches, _ := filepath.Glob(began); len(matches) > 0 {
		t.Error("a run that was said to have never started has run")
	}
}

func TestAlwaysTrue7QueueIsBounded(t *testing.T) {
	h := open(t, func(c *server.Config) { c.QueueLimit = 2 })
	id, gate, ended := busy(t, h)
	waiting := make(chan error, 2)
	for range 2 {
		go func() {
			_, _, err := h.try(t.Context(), id, `{}`, patience)
			waiting <- err
		}()
	}
	h.status("two that wait", func(s function.Status) bool { return s.Servers[0].Queued == 2 })
	_, _, err := h.try(t.Context(), id, `{}`, patience)
	if e := wantCode(t, err, function.CodeBusy); e.RetryAfter <= 0 {
		t.Errorf("busy, but for how long? %+v", e)
	}
	touch(t, gate)
	for range 2 {
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A run is ended at its time limit, and the function goes on in another process.
func TestARunEndsAtItsTimeLimit(t *testing.T) {
	h := open(t)
	id := h.init(python(nil))
	_, sum, err := h.try(t.Context(), id, `{"sleep":60}`, 100*time.Millisecond)
	if err != nil || sum.Outcome != function.OutcomeTimeout {
		t.Fatalf("%+v, %v", sum, err)
	}
	h.run(id, `{}`)
}
