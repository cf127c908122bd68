package balancer

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestAlwaysTrue6RunWaitsForTheServerToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		old := join(t, b, newFake("a", 1, "gpu"))
		id, claim := lease(t, b, specOf("hello", "gpu"))
		old.cutNow()
		if err := <-old.done; function.CodeOf(err) != function.CodeUnreachable {
			t.Fatalf("Join ended with %v", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
		time.Sleep(20 * time.Second) // within the grace
		back := join(t, b, newFake("a", 1, "gpu"))
		wg.Wait()
		if back.inited() != 1 || back.ran() != 1 || old.ran() != 0 {
			t.Errorf("%d starts, %d runs at the new, %d at the old", back.inited(), back.ran(), old.ran())
		}
	})
}

func TestAlwaysTrue6RunWaitsWhileTheLossIsNotSeenYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		old := join(t, b, newFake("a", 1, "gpu"))
		id, claim := lease(t, b, specOf("hello", "gpu"))
		old.set(func() { // dead, but Watch has not noticed
			old.runErr = func(int) error { return function.Errorf(function.CodeUnreachable, "connection refused") }
		})
		var wg sync.WaitGroup
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
		time.Sleep(3 * time.Second)
		old.cutNow()
		time.Sleep(10 * time.Second)
		back := join(t, b, newFake("a", 1, "gpu"))
		wg.Wait()
		if back.ran() != 1 {
			t.Errorf("%d runs", back.ran())
		}
	})
}

// The server is only out of reach for a moment, and never leaves.
func TestRunIsTriedAgainWhereItCouldNotConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		begin := time.Now()
		h.set(func() {
			h.runErr = func(int) error {
				if time.Since(begin) < 3*time.Second {
					return function.Errorf(function.CodeUnreachable, "connection refused")
				}
				return nil
			}
		})
		mustRun(t, b, id, claim, "1")
		// It is set aside after some failures, and then tried less often.
		if took := time.Since(begin); took < 3*time.Second || took > 10*time.Second || h.ran() != 1 {
			t.Errorf("%d runs after %v", h.ran(), took)
		}
	})
}

func TestAlwaysTrue7WaitForAServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1, "gpu"))
		join(t, b, newFake("c", 1, "llm"))
		id, claim := lease(t, b, specOf("hello", "gpu"))
		h.cutNow()
		<-h.done
		short := act("1")
		short.Timeout = 5 * time.Second
		begin := time.Now()
		_, err := b.Run(t.Context(), id, claim, short, function.OutputFunc(discard))
		wantCode(t, err, function.CodeTimeout)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("the time limit of 5s ended after %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.Run(ctx, id, claim, act("2"), function.OutputFunc(discard))
		wantCode(t, err, function.CodeTimeout)
		_, err = run(t, b, id, claim, "3")
		wantCode(t, err, function.CodeNoCapacity)
		if took := time.Since(begin); took != b.cfg.LabelGrace {
			t.Errorf("the grace of %v ended after %v", b.cfg.LabelGrace, took)
		}
		if want := `no connected server has the label "gpu"; the labels there are: llm (1 server)`; err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	})
}

func TestAlwaysTrue7WaitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{Waiters: 3})
		h := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		h.cutNow()
		<-h.done
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := run(t, b, id, claim, "1")
				wantCode(t, err, function.CodeNoCapacity)
			})
		}
		synctest.Wait()
		_, err := run(t, b, id, claim, "2")
		wantCode(t, err, function.CodeBusy)
		wg.Wait()
	})
}

func TestAlwaysTrue6BalancerRestartWaitsForKnownLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		join(t, b, newFake("a", 1, "gpu"))
		spec := specOf("hello", "gpu")
		id, claim := lease(t, b, spec)
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}

		again := open(t, Config{Dir: dir})
		_, err = run(t, again, id, claim, "1")
		wantCode(t, err, function.CodeUnknownFunction)
		var wg sync.WaitGroup
		wg.Go(func() { // the code is still there, so Init is enough
			if _, err := again.Init(t.Context(), spec, function.Lease{ID: claim.Lease}); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Second)
		join(t, again, newFake("a", 1, "gpu"))
		wg.Wait()
		mustRun(t, again, id, claim, "2")

		begin := time.Now()
		never := specOf("never", "tpu")
		put(t, again, never)
		_, err = again.Init(t.Context(), never, function.Lease{ID: "l"})
		wantCode(t, err, function.CodeNoCapacity)
		if time.Since(begin) != 0 {
			t.Error("waited for a label that never was")
		}
	})
}

// What servers have reported before their functions were known here is made use of: a balancer that
// restarts finds each function where it is.
func TestAlwaysTrue6BalancerRestartFindsFunctionsWhereTheyAre(t *testing.T) {
	b := open(t, Config{})
	specs := []function.Spec{specOf("f"), specOf("g"), specOf("h"), specOf("i")}
	warm := newFake("w", 4)
	for _, spec := range specs {
		warm.status.Functions = append(warm.status.Functions, function.FunctionStatus{ID: spec.ID(), Server: "w", State: "ready", Workers: 1, Slots: 4})
	}
	others := []*joined{join(t, b, newFake("a", 4)), join(t, b, newFake("c", 4)), join(t, b, newFake("e", 4))}
	w := join(t, b, warm)
	for _, spec := range specs {
		lease(t, b, spec)
	}
	for _, h := range others {
		if n := h.inited(); n > 0 {
			t.Errorf("%d functions are started at %s, and are warm elsewhere", n, h.name)
		}
	}
	if n := w.inited(); n != len(specs) {
		t.Errorf("%d functions are used where they are warm", n)
	}
}

func TestMemberThatForgotStartsOnceMore(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 4))
	id, claim := lease(t, b, specOf("hello"))
	h.set(func() { clear(h.leases) })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
	}
	wg.Wait()
	if h.inited() != 2 || h.ran() != 8 {
		t.Errorf("%d starts and %d runs, want 2 and 8", h.inited(), h.ran())
	}
}

// Two runs were refused for the same old lease, and the second is told so only
// after the new start has ended: it must use that start, not make another.
func TestLateRefusalDoesNotStartAgain(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 4))
	id, claim := lease(t, b, specOf("hello"))
	q := request{id: id, claim: claim, begin: time.Now()}
	old, w, err := b.enter(&q)
	if err != nil || w != nil {
		t.Fatal(w, err)
	}
	defer b.release(old, sight{back: time.Now(), unused: true})
	early, late := q, q
	if !b.revive(&early, old) {
		t.Fatal("a function that was forgotten is not started again")
	}
	waitFor(t, "the start", func() bool { return h.inited() == 2 })
	waitFor(t, "its end", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return q.f.ready()
	})
	if !b.revive(&late, old) || h.inited() != 2 {
		t.Errorf("%d starts, want 2", h.inited())
	}
	if b.revive(&late, old) {
		t.Error("one run has a function started again twice")
	}
}

func TestNewerJoinReplacesTheOlderAndAdoptsWhatIsWarm(t *testing.T) {
	b := open(t, Config{})
	old := join(t, b, newFake("a", 1))
	id, claim := lease(t, b, specOf("hello"))
	back := newFake("a", 1)
	back.code = map[function.Digest]bool{specOf("hello").Code: true}
	back.status.Functions = []function.FunctionStatus{{ID: id, Server: "a", State: "ready"}}
	join(t, b, back)
	if err := <-old.done; !errors.Is(err, errReplaced) {
		t.Errorf("the older Join ended with %v", err)
	}
	waitFor(t, "a lease on what is warm", func() bool { return back.liveLeases(id) == 1 })
	mustRun(t, b, id, claim, "1")
	if back.inited() != 1 || back.ran() != 1 || old.ran() != 0 {
		t.Errorf("%d starts, %d runs; %d runs at the old", back.inited(), back.ran(), old.ran())
	}
}

func TestSilentMemberIsDismissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		time.Sleep(time.Minute)
		if len(b.Status().Servers) != 1 {
			t.Fatal("a member that reports was dismissed")
		}
		h.set(func() { h.silent = true })
		begin := time.Now()
		if err := <-h.done; !errors.Is(err, errSilent) {
			t.Errorf("Join ended with %v", err)
		}
		if took := time.Since(begin); took > (silentAfter+1)*function.StatusInterval {
			t.Errorf("it took %v", took)
		}
		if len(b.Status().Servers) != 0 {
			t.Error("a dismissed member is in the status")
		}
	})
}

func TestJoinEndsWithItsContext(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 1))
	h.end()
	if err := <-h.done; !errors.Is(err, context.Canceled) {
		t.Errorf("Join ended with %v", err)
	}
	wantCode(t, b.Join(t.Context(), Member{ID: "", Host: h}), function.CodeBadRequest)
}

func TestStartAtAMemberThatLeavesGoesElsewhere(t *testing.T) {
	b := open(t, Config{})
	hosts := []*joined{join(t, b, newFake("a", 1)), join(t, b, newFake("c", 1))}
	hold := make(chan struct{})
	defer close(hold)
	for _, h := range hosts {
		h.set(func() { h.holdInit = hold })
	}
	var wg sync.WaitGroup
	wg.Go(func() { lease(t, b, specOf("hello")) })
	waitFor(t, "a start", func() bool { return hosts[0].inited()+hosts[1].inited() == 1 })
	first, other := hosts[0], hosts[1]
	if first.inited() == 0 {
		first, other = other, first
	}
	other.set(func() { other.holdInit = nil })
	first.cutNow()
	wg.Wait()
	if other.inited() != 1 {
		t.Errorf("%d starts at the other", other.inited())
	}
}

func TestDrainingServerGetsNothingNew(t *testing.T) {
	b := open(t, Config{})
	a, c := join(t, b, newFake("a", 1)), join(t, b, newFake("c", 1))
	id, claim := lease(t, b, specOf("hello"))
	first, other := a, c
	if a.inited() == 0 {
		first, other = c, a
	}
	first.set(func() {
		s := first.status.Servers[0]
		s.Draining = true
		first.status.Servers = []function.ServerStatus{s}
	})
	waitFor(t, "the report", func() bool { return strings.Contains(drainingNames(b), first.name) })
	if sum := mustRun(t, b, id, claim, "1"); sum.Server != other.name {
		t.Errorf("it ran at %s", sum.Server)
	}
}

func drainingNames(b *Balancer) (names string) {
	for _, s := range b.Status().Servers {
		if s.Draining {
			names += s.Name
		}
	}
	return names
}
