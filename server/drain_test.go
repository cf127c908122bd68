package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Who waits for a drain and leaves cuts no run; who waits on is told when none is left.
func TestDrainCutsNothing(t *testing.T) {
	h := open(t)
	id, gate, ended := busy(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantCode(t, h.Drain(ctx), function.CodeTimeout)
	h.status("draining, with its run", func(s function.Status) bool {
		return s.Servers[0].Draining && s.Servers[0].Running == 1
	})
	_, _, err := h.try(t.Context(), id, `{}`, patience)
	wantCode(t, err, function.CodeDraining)
	drained := make(chan error, 1)
	go func() { drained <- h.Drain(t.Context()) }()
	touch(t, gate)
	if err := <-ended; err != nil {
		t.Errorf("the run that was under way: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := h.Drain(t.Context()); err != nil {
		t.Errorf("once more: %v", err)
	}
	h.status("still there, and empty", func(s function.Status) bool {
		return s.Servers[0].Draining && s.Servers[0].Running == 0 && len(s.Functions) == 0
	})
}
