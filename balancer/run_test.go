package balancer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestRunGivesResultAndStation(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("s1", 2))
	id, claim := lease(t, b, specOf("hello"))
	var got string
	sum, err := b.Run(t.Context(), id, claim, act(`{"value":1}`), function.OutputFunc(func(s function.Stream, p []byte) error {
		got += string(p)
		return nil
	}))
	if err != nil || sum.Outcome != function.OutcomeOK || sum.Server != "s1" || sum.Cold {
		t.Fatalf("run: %+v, %v", sum, err)
	}
	if _, ok := sum.Took("balancer"); !ok || got != `{"value":1}` {
		t.Errorf("stations %v, result %q", sum.Stations, got)
	}
	if h.puts != 1 || h.inited() != 1 {
		t.Errorf("%d uploads and %d starts, want 1 and 1", h.puts, h.inited())
	}
}

func TestRefusalGoesElsewhere(t *testing.T) {
	for _, code := range []function.Code{function.CodeBusy, function.CodeDraining, function.CodeUnreachable, function.CodeNoCapacity} {
		t.Run(string(code), func(t *testing.T) {
			b := open(t, Config{})
			a, c := join(t, b, newFake("a", 1)), join(t, b, newFake("c", 1))
			id, claim := lease(t, b, specOf("hello"))
			first, other := a, c
			if a.inited() == 0 {
				first, other = c, a
			}
			first.set(func() { first.runErr = func(int) error { return function.Errorf(code, "not now") } })
			sum := mustRun(t, b, id, claim, "1")
			if sum.Server != other.name || !sum.Cold || first.ran() != 0 || other.ran() != 1 {
				t.Errorf("%+v, %d runs at the first, %d at the other", sum, first.ran(), other.ran())
			}
		})
	}
}

func TestRefusedByAllSaysWho(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 1))
	id, claim := lease(t, b, specOf("hello"))
	h.set(func() {
		h.runErr = func(int) error {
			return &function.Error{Code: function.CodeBusy, Message: "queue full", RetryAfter: time.Second}
		}
	})
	_, err := run(t, b, id, claim, "1")
	if e := function.AsError(err); e.Code != function.CodeBusy || e.Message != "server a: queue full" || e.RetryAfter != time.Second {
		t.Errorf("%+v", e)
	}
}

func TestOtherErrorsPassUntouched(t *testing.T) {
	b := open(t, Config{})
	join(t, b, newFake("c", 1))
	h := join(t, b, newFake("a", 1, "only"))
	id, claim := lease(t, b, specOf("hello", "only"))
	h.set(func() { h.runErr = func(int) error { return function.Errorf(function.CodeTooLarge, "too large") } })
	_, err := run(t, b, id, claim, "1")
	if e := function.AsError(err); e.Code != function.CodeTooLarge || e.Message != "too large" {
		t.Errorf("%+v", e)
	}
}

func TestInitFailurePassesUntouchedAndLeavesNoLease(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 1))
	h.set(func() {
		h.initErr = func(context.Context) error {
			return &function.Error{Code: function.CodeInitFailed, Message: "SyntaxError", Logs: "line 1"}
		}
	})
	spec := specOf("hello")
	put(t, b, spec)
	_, err := b.Init(t.Context(), spec, function.Lease{ID: "l"})
	if e := function.AsError(err); e.Code != function.CodeInitFailed || e.Message != "SyntaxError" || e.Logs != "line 1" {
		t.Errorf("%+v", e)
	}
	_, err = run(t, b, spec.ID(), function.Claim{Lease: "l"}, "1")
	wantCode(t, err, function.CodeUnknownFunction)
}

func TestAlwaysTrue1LostRunIsNotRepeated(t *testing.T) {
	for _, outcome := range []function.Outcome{function.OutcomeLost, function.OutcomeCrashed, function.OutcomeTimeout, function.OutcomeCancelled, function.OutcomeTooLarge} {
		t.Run(string(outcome), func(t *testing.T) {
			b := open(t, Config{})
			hosts := []*joined{join(t, b, newFake("first", 1)), join(t, b, newFake("second", 1))}
			for _, h := range hosts {
				h.set(func() {
					h.summary = func(string) *function.Summary {
						return &function.Summary{Outcome: outcome, Error: "the connection broke"}
					}
				})
			}
			id, claim := lease(t, b, specOf("hello"))
			sum, err := run(t, b, id, claim, "1")
			if err != nil || sum.Outcome != outcome {
				t.Fatalf("%+v, %v", sum, err)
			}
			if n := hosts[0].ran() + hosts[1].ran(); n != 1 {
				t.Errorf("the run happened %d times", n)
			}
			if outcome == function.OutcomeLost && !strings.Contains(sum.Error, "server "+sum.Server) {
				t.Errorf("the text %q does not name the server", sum.Error)
			}
		})
	}
}

// Members refuse, forget, lose runs, leave and come back at random. Every run
// happens at most once, every answer is the question's own, and every dispatch
// is released (see checkReleased in open).
func TestAlwaysTrue1EachRunAtMostOnceWithFailingMembers(t *testing.T) {
	synctest.Test(t, failingMembers) // members that fail are set aside, which takes time
}

func failingMembers(t *testing.T) {
	b := open(t, Config{LabelGrace: 5 * time.Second})
	var mu sync.Mutex
	count := map[string]int{}
	knobs := func(h *fakeHost) {
		h.runErr = func(int) error {
			switch rand.IntN(48) {
			case 0:
				return function.Errorf(function.CodeUnreachable, "unreachable")
			case 1, 2, 3, 4:
				return function.Errorf(function.CodeBusy, "busy")
			case 5, 6, 7, 8:
				return function.Errorf(function.CodeUnknownFunction, "evicted")
			}
			return nil
		}
		h.initErr = func(context.Context) error {
			if rand.IntN(10) == 0 {
				return function.Errorf(function.CodeBusy, "no room")
			}
			return nil
		}
		h.summary = func(body string) *function.Summary {
			mu.Lock()
			defer mu.Unlock()
			count[body]++
			if rand.IntN(48) == 0 {
				return &function.Summary{Outcome: function.OutcomeLost, Error: "cut"}
			}
			return nil
		}
	}
	var fakes []*fakeHost
	for i := range 5 {
		h := newFake(fmt.Sprint("s", i), 1)
		knobs(h)
		fakes = append(fakes, h)
		join(t, b, h)
	}
	id, claim := leaseStubbornly(t, b, specOf("hello"))
	flapping, stop := context.WithCancel(t.Context())
	var flap sync.WaitGroup
	flap.Go(func() {
		for i := 0; flapping.Err() == nil; i++ { // a newer Join replaces the older
			h := newFake(fakes[i%2].name, 1)
			knobs(h)
			ctx, cancel := context.WithTimeout(flapping, 2*time.Millisecond)
			b.Join(ctx, Member{ID: h.name, Host: h})
			cancel()
		}
	})
	var ok atomic.Int64
	var callers sync.WaitGroup
	for c := range 16 {
		callers.Go(func() {
			for i := range 100 {
				body := fmt.Sprintf("%d-%d", c, i)
				var got string
				sum, err := b.Run(t.Context(), id, claim, act(body), function.OutputFunc(func(_ function.Stream, p []byte) error {
					got = string(p)
					return nil
				}))
				mu.Lock()
				n := count[body]
				mu.Unlock()
				switch {
				case err != nil && n != 0:
					t.Errorf("run %s: error %v, but it started %d times", body, err, n)
				case err == nil && n != 1:
					t.Errorf("run %s: %s, but it started %d times", body, sum.Outcome, n)
				case err == nil && sum.Outcome == function.OutcomeOK && got != body:
					t.Errorf("run %s got the answer of %s", body, got)
				case err == nil:
					ok.Add(1)
				}
			}
		})
	}
	callers.Wait()
	stop()
	flap.Wait()
	b.mu.Lock()
	for _, m := range b.members {
		if m.ours != 0 {
			t.Errorf("%d runs in flight at %s after the end", m.ours, m.Name)
		}
		for _, h := range m.holders {
			if h.ours != 0 {
				t.Errorf("%d runs of the function in flight at %s after the end", h.ours, m.Name)
			}
		}
	}
	b.mu.Unlock()
	if ok.Load() < 800 {
		t.Errorf("only %d of 1600 runs got anywhere", ok.Load())
	}
}

func leaseStubbornly(t *testing.T, b *Balancer, spec function.Spec) (function.ID, function.Claim) {
	t.Helper()
	put(t, b, spec)
	l := function.Lease{ID: function.NewLeaseID(), TTL: anHour}
	for range 100 {
		if id, err := b.Init(t.Context(), spec, l); err == nil {
			return id, function.Claim{Lease: l.ID, Namespace: spec.Namespace}
		}
	}
	t.Fatal("a hundred Inits failed")
	return function.ID{}, function.Claim{}
}

func TestAlwaysTrue9NothingForAForeignNamespace(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 1))
	spec := specOf("hello")
	id, claim := lease(t, b, spec)
	foreign := function.Claim{Lease: claim.Lease, Namespace: "stranger"}

	_, err := run(t, b, id, foreign, "1")
	wantCode(t, err, function.CodeUnknownFunction)
	_, unknown := run(t, b, function.ID{1}, foreign, "1")
	if err.Error() != unknown.Error() {
		t.Errorf("the answers differ: %q, %q", err, unknown)
	}
	_, err = run(t, b, id, function.Claim{Lease: "guessed", Namespace: "guest"}, "1")
	wantCode(t, err, function.CodeUnknownFunction)
	wantCode(t, b.Renew(t.Context(), id, foreign, time.Minute), function.CodeUnknownFunction)
	if err := b.Stop(t.Context(), id, foreign); err != nil {
		t.Error(err)
	}
	if h.ran() != 0 {
		t.Errorf("%d runs for strangers", h.ran())
	}
	mustRun(t, b, id, claim, "1") // the stranger's Stop did nothing
	mustRun(t, b, id, function.Claim{Lease: claim.Lease}, "2")

	stolen := spec
	stolen.Namespace = "stranger" // knows the digest, has not the bytes
	_, err = b.Init(t.Context(), stolen, function.Lease{ID: "x"})
	wantCode(t, err, function.CodeCodeMissing)
}

func TestTimeLeftShrinksWhileWaiting(t *testing.T) {
	b := open(t, Config{})
	a, c := join(t, b, newFake("a", 1)), join(t, b, newFake("c", 1))
	id, claim := lease(t, b, specOf("hello"))
	refuse := func(int) error { return function.Errorf(function.CodeBusy, "busy") }
	first, other := a, c
	if a.inited() == 0 {
		first, other = c, a
	}
	first.set(func() { first.runErr = refuse })
	var left time.Duration
	other.set(func() { other.onRun = func(a *function.Activation) { left = a.Timeout } })
	mustRun(t, b, id, claim, "1")
	if left <= 0 || left >= time.Minute {
		t.Errorf("%v are left of a minute", left)
	}
}

func TestWidensWhenHoldersAreSaturated(t *testing.T) {
	b := open(t, Config{})
	hosts := []*joined{join(t, b, newFake("a", 1)), join(t, b, newFake("c", 1))}
	id, claim := lease(t, b, specOf("hello"))
	hold := make(chan struct{})
	for _, h := range hosts {
		h.set(func() { h.onRun = func(*function.Activation) { <-hold } })
	}
	var wg sync.WaitGroup
	for i := range runsPerCPU + 1 { // one more than there are slots
		wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
		waitFor(t, "the run", func() bool { return hosts[0].ran()+hosts[1].ran() == i+1 })
	}
	waitFor(t, "the function on both", func() bool { return hosts[0].inited() == 1 && hosts[1].inited() == 1 })
	waitFor(t, "the start's end", func() bool { return hosts[0].liveLeases(id) == 1 && hosts[1].liveLeases(id) == 1 })
	waitFor(t, "both to be ready", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.functions[id].place.Sites) == 2 && !b.functions[id].starting()
	})
	wg.Go(func() { mustRun(t, b, id, claim, "last") })
	waitFor(t, "a run at the second", func() bool { return hosts[0].ran() > 0 && hosts[1].ran() > 0 })
	close(hold)
	wg.Wait()
}

func TestLimitOfRunsPerMember(t *testing.T) {
	b := open(t, Config{InFlightPerMember: 1})
	h := join(t, b, newFake("a", 1))
	id, claim := lease(t, b, specOf("hello"))
	hold := make(chan struct{})
	h.set(func() { h.onRun = func(*function.Activation) { <-hold } })
	var wg sync.WaitGroup
	wg.Go(func() { mustRun(t, b, id, claim, "1") })
	waitFor(t, "the run", func() bool { return h.ran() == 1 })
	late := act("2")
	late.Timeout = 50 * time.Millisecond
	_, err := b.Run(t.Context(), id, claim, late, function.OutputFunc(discard))
	if e := function.AsError(err); e.Code != function.CodeNoCapacity || e.RetryAfter == 0 || !strings.Contains(e.Message, "1 may have no more runs in flight (a)") {
		t.Errorf("%+v", e)
	}
	wg.Go(func() { mustRun(t, b, id, claim, "3") })
	waitFor(t, "the next to wait", func() bool { return b.waiting() == 1 })
	close(hold)
	wg.Wait() // the first was released
}

func TestABalancerIsAMemberOfAnother(t *testing.T) {
	inner, outer := open(t, Config{}), open(t, Config{})
	h := join(t, inner, newFake("gpu1", 1, "gpu"))
	join(t, inner, newFake("eu1", 1, "eu"))
	waitFor(t, "both servers", func() bool { return len(inner.Status().Servers) == 2 })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { outer.Join(ctx, Member{ID: "inner", Name: "inner", Host: inner}) })
	defer wg.Wait()
	defer cancel()
	waitFor(t, "the servers to be seen", func() bool { return len(outer.Status().Servers) == 2 })

	id, claim := lease(t, outer, specOf("hello", "gpu"))
	sum := mustRun(t, outer, id, claim, "1")
	if sum.Server != "gpu1" || len(sum.Stations) != 2 || h.ran() != 1 {
		t.Errorf("%+v", sum)
	}
	both := specOf("both", "eu", "gpu") // each label is there, but on two servers
	put(t, outer, both)
	_, err := outer.Init(t.Context(), both, function.Lease{ID: "l"})
	wantCode(t, err, function.CodeNoCapacity)
}

func TestCloseWaitsForRunsAndRefusesNewOnes(t *testing.T) {
	b, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	h := join(t, b, newFake("a", 1))
	id, claim := lease(t, b, specOf("hello"))
	hold := make(chan struct{})
	h.set(func() { h.onRun = func(*function.Activation) { <-hold } })
	var wg sync.WaitGroup
	wg.Go(func() { mustRun(t, b, id, claim, "1") })
	waitFor(t, "the run", func() bool { return h.ran() == 1 })
	closed := make(chan error, 1)
	go func() { closed <- b.Close(context.Background()) }()
	waitFor(t, "closing", func() bool { return b.open() != nil })
	_, err = run(t, b, id, claim, "2")
	wantCode(t, err, function.CodeDraining)
	select {
	case err := <-closed:
		t.Fatalf("closed with a run in flight: %v", err)
	default:
	}
	close(hold)
	wg.Wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	wantCode(t, b.Join(t.Context(), Member{ID: "late", Host: h}), function.CodeDraining)
}
