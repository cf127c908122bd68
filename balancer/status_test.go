package balancer

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

func TestStatusSaysWhoIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		aside := func() bool { return b.Status().Servers[0].Aside }
		if aside() {
			t.Error("a new server is set aside")
		}
		until := time.Now().Add(3 * time.Second)
		h.set(func() {
			h.runErr = func(int) error {
				if time.Now().Before(until) {
					return function.Errorf(function.CodeUnreachable, "connection refused")
				}
				return nil
			}
		})
		ran := make(chan struct{})
		go func() { defer close(ran); mustRun(t, b, id, claim, "1") }()
		time.Sleep(2500 * time.Millisecond)
		if !aside() {
			t.Error("a server that refuses all connections is not set aside")
		}
		<-ran
		if aside() {
			t.Error("a server that works again is still set aside")
		}
	})
}

func TestStatusSaysWhatWaits(t *testing.T) {
	b, _, id, claim, hold := oneSlot(t, Config{})
	if got := b.Status().Waiting; len(got) != 0 {
		t.Errorf("nothing waits, but %+v", got)
	}
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
	}
	waitFor(t, "two runs to wait", func() bool {
		got := b.Status().Waiting
		return len(got) == 1 && got[0].ID == id && got[0].Runs == 2 && got[0].Starts == 0
	})
	time.Sleep(2 * time.Millisecond) // so that they have waited for some
	if got := b.Status().Waiting[0]; got.Longest < 1 || got.Action != "hello" {
		t.Errorf("%+v", got)
	}
	for range 3 {
		hold <- struct{}{}
	}
	wg.Wait()
	if got := b.Status().Waiting; len(got) != 0 {
		t.Errorf("nothing waits any more, but %+v", got)
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
