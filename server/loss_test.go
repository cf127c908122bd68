package server

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/codestore"
	"github.com/whiskaway/whiskaway/function"
)

// A worker that was idle for long before it ended did start: the next run gets another one.
func TestAWorkerThatEndsWhileIdleIsNoFailedStartWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMachine(t, fakeLimits, 1, nil)
		id, claim := m.init(t, "f")
		time.Sleep(10 * time.Minute)
		m.processes[0].Stop()
		synctest.Wait()
		if sum, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil); err != nil {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

// One that ends at once is not started again and again.
func TestAWorkerThatEndsAtOnceIsAFailedStartWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMachine(t, fakeLimits, 1, nil)
		id, claim := m.init(t, "f")
		m.processes[0].Stop()
		synctest.Wait()
		_, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil)
		if e := function.AsError(err); e == nil || e.Code != function.CodeInitFailed || e.RetryAfter <= 0 {
			t.Errorf("got %+v", e)
		}
	})
}

// While a start takes minutes nothing changes, so those who watch hear no more
// than usual.
func TestALongStartKeepsNobodyBusyWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMachine(t, fakeLimits, 1, nil)
		id, claim := m.init(t, "f")
		slow, plain := make(chan struct{}), m.owner.start
		m.owner.start = func(ctx context.Context, j startJob) (startResult, error) {
			<-slow
			return plain(ctx, j)
		}
		m.runOnce(t, id, claim)
		m.processes[0].Stop()
		synctest.Wait()
		ended := make(chan error)
		go func() {
			_, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil)
			ended <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		reports := 0
		err := m.Watch(ctx, func(function.Status) error { reports++; return nil })
		if function.CodeOf(err) != function.CodeTimeout || reports > 40 {
			t.Errorf("%d reports in a minute, %v", reports, err)
		}
		close(slow)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The last run that waited has left, and so have all clients.
func TestAFunctionGoesWithItsLastWaitingRunWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeLimits
		l.leaseGrace, l.idleTTL = time.Second, time.Second
		m := newFakeMachine(t, l, 1, nil)
		id, claim := m.init(t, "f")
		failed := make(chan struct{})
		m.owner.start = func(context.Context, startJob) (startResult, error) {
			<-failed
			return startResult{}, function.Errorf(function.CodeInitFailed, "on purpose")
		}
		m.runOnce(t, id, claim)
		m.processes[0].Stop()
		synctest.Wait()
		ended := make(chan error)
		go func() {
			_, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil)
			ended <- err
		}()
		synctest.Wait()
		if err := m.Renew(t.Context(), id, claim, time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		close(failed)
		if err := <-ended; function.CodeOf(err) != function.CodeInitFailed {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if n := m.functionCount(t); n != 0 {
			t.Errorf("%d functions are left", n)
		}
	})
}

func (m *fakeMachine) runOnce(t *testing.T, id function.ID, claim function.Claim) {
	t.Helper()
	if _, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil); err != nil {
		t.Fatal(err)
	}
}

func (m *fakeMachine) functionCount(t *testing.T) int {
	t.Helper()
	e := &statusCall{watcher: &watcher{changed: make(chan struct{}, 1)}, reply: make(chan status, 1)}
	st, err := ask(t.Context(), m.owner, e, e.reply)
	if err != nil {
		t.Fatal(err)
	}
	return len(st.functions)
}

// Who holds a function can renew that by Init, also when no further one fits.
func TestAHolderIsNotTurnedAwayAtTheLimitWithFakeProcesses(t *testing.T) {
	m := newFakeMachine(t, fakeLimits, 1, nil)
	spec := function.Spec{Namespace: "n", Action: "crowded", Kind: "fake", Main: "main"}
	id := spec.ID()
	offered := newFn(id, spec, &codestore.Blob{}, "")
	try := func(lease string) error {
		_, err := m.owner.askInit(t.Context(), id, function.Lease{ID: lease, TTL: time.Hour}, offered)
		offered = nil
		return err
	}
	for i := range maxLeases {
		if err := try(fmt.Sprint("lease ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := try("one more"); function.CodeOf(err) != function.CodeBusy {
		t.Errorf("one more: %v", err)
	}
	if err := try("lease 7"); err != nil {
		t.Errorf("a holder: %v", err)
	}
}
