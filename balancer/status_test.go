package balancer

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestStatusIsTheSumWithOurLeases(t *testing.T) {
	b := open(t, Config{})
	z, a := join(t, b, newFake("z", 1, "llm")), join(t, b, newFake("a", 1))
	spec := specOf("hello", "llm")
	id, claim := lease(t, b, spec)
	lease(t, b, spec)
	z.set(func() {
		z.status.Functions = []function.FunctionStatus{{ID: id, Server: "z", State: "ready", Leases: 99}}
	})
	leases := func(want int) func() bool {
		return func() bool {
			st := b.Status()
			return len(st.Functions) == 1 && st.Functions[0].Server == "z" && st.Functions[0].Leases == want
		}
	}
	waitFor(t, "two leases", leases(2))
	if err := b.Stop(t.Context(), id, claim); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "one lease", leases(1))
	if st := b.Status(); len(st.Servers) != 2 || st.Servers[0].Name != "a" || st.Servers[1].Name != "z" {
		t.Errorf("%+v", st.Servers)
	}
	a.cutNow()
	<-a.done
	if st := b.Status(); len(st.Servers) != 1 {
		t.Errorf("a server that left is in the status: %+v", st.Servers)
	}
}

func TestWatchGathersChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		var reports atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Watch(ctx, func(function.Status) error { reports.Add(1); return nil }) }()
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		if n := reports.Load(); n != 31 {
			t.Errorf("%d reports in a minute without change, want 31", n)
		}
		h := join(t, b, newFake("a", 1))
		reports.Store(0)
		for range 1000 {
			h.set(func() {})
			time.Sleep(time.Millisecond)
		}
		if n := reports.Load(); n < 8 || n > 11 {
			t.Errorf("%d reports in a second of changes", n)
		}
		cancel()
		wantCode(t, <-done, function.CodeCancelled)
	})
}

func TestWatchEndsWithItsReporterAndTheBalancer(t *testing.T) {
	b, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	if err := b.Watch(t.Context(), func(function.Status) error { return enough }); err != enough {
		t.Errorf("Watch ended with %v", err)
	}
	done := make(chan error, 1)
	seen := make(chan struct{}, 100)
	go func() { done <- b.Watch(t.Context(), func(function.Status) error { seen <- struct{}{}; return nil }) }()
	<-seen
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wantCode(t, <-done, function.CodeDraining)
}
