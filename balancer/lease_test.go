package balancer

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestOwnLeaseIsRenewedAndStoppedWithTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		spec := specOf("hello")
		id, first := lease(t, b, spec)
		_, second := lease(t, b, spec)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if renews := h.get(func() int { return h.renews }); renews < 28 || renews > 31 || h.liveLeases(id) != 1 {
			t.Errorf("%d renewals in ten minutes, %d leases live", renews, h.liveLeases(id))
		}
		if err := b.Stop(t.Context(), id, first); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if h.stopped() != 0 {
			t.Error("stopped while a client has a lease")
		}
		if err := b.Stop(t.Context(), id, second); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if h.stopped() != 1 || h.liveLeases(id) != 0 {
			t.Errorf("%d stops, %d leases after the last client's", h.stopped(), h.liveLeases(id))
		}
		_, err := run(t, b, id, second, "1")
		wantCode(t, err, function.CodeUnknownFunction)
	})
}

func TestAlwaysTrue5VanishedClientCostsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		spec := specOf("hello")
		put(t, b, spec)
		id, err := b.Init(t.Context(), spec, function.Lease{ID: "l", TTL: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		claim := function.Claim{Lease: "l", Namespace: "guest"}
		time.Sleep(20 * time.Second)
		if err := b.Renew(t.Context(), id, claim, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if h.stopped() != 0 {
			t.Error("stopped before the lease was over")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if h.stopped() != 1 {
			t.Error("not stopped after the lease was over")
		}
		wantCode(t, b.Renew(t.Context(), id, claim, time.Minute), function.CodeUnknownFunction)
	})
}

func TestForgottenLeaseAtMemberMeansOneMoreStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		h.set(func() { h.renewErr = func() error { return function.Errorf(function.CodeUnknownFunction, "gone") } })
		time.Sleep(time.Minute)
		h.set(func() { h.renewErr = nil; clear(h.leases) })
		mustRun(t, b, id, claim, "1")
		if h.inited() != 2 {
			t.Errorf("%d starts, want 2", h.inited())
		}
	})
}

func TestRenewalThatDidNotGetThroughIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		id, claim := lease(t, b, specOf("hello"))
		h.set(func() { h.renewErr = func() error { return function.Errorf(function.CodeUnreachable, "no way") } })
		time.Sleep(leaseTTL / 2)
		h.set(func() { h.renewErr = nil })
		time.Sleep(leaseTTL)
		mustRun(t, b, id, claim, "1")
		if h.inited() != 1 {
			t.Errorf("%d starts, want 1", h.inited())
		}
	})
}

func TestAlwaysTrue8StartedOnceHoweverManyAsk(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 8))
	spec := specOf("hello")
	put(t, b, spec)
	hold := make(chan struct{})
	h.set(func() { h.holdInit = hold })
	first, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := b.Init(first, spec, function.Lease{ID: "impatient", TTL: anHour})
		wantCode(t, err, function.CodeCancelled)
	})
	waitFor(t, "the start", func() bool { return h.inited() == 1 })
	for range 20 {
		wg.Go(func() { lease(t, b, spec) })
	}
	waitFor(t, "all to wait", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.functions[spec.ID()].inits == 21
	})
	leave()
	waitFor(t, "the first to leave", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.functions[spec.ID()].inits == 20
	})
	close(hold)
	wg.Wait()
	if h.inited() != 1 {
		t.Errorf("%d starts", h.inited())
	}
	mustRun(t, b, spec.ID(), function.Claim{Lease: "impatient"}, "1")
}

func TestAlwaysTrue8StartThatOutlivesItsCallersHasAGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 1))
		spec := specOf("hello")
		put(t, b, spec)
		hold := make(chan struct{})
		h.set(func() { h.holdInit = hold })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Init(ctx, spec, function.Lease{ID: "l", TTL: 10 * time.Second})
		wantCode(t, err, function.CodeTimeout)
		time.Sleep(time.Minute) // the lease is over, the start is not
		close(hold)
		time.Sleep(30 * time.Second)
		id, claim := lease(t, b, spec)
		mustRun(t, b, id, claim, "1")
		if h.inited() != 1 || h.stopped() != 0 {
			t.Errorf("%d starts and %d stops, want 1 and 0", h.inited(), h.stopped())
		}
	})
}

func TestSpecsAreBounded(t *testing.T) {
	b := open(t, Config{SpecLimit: 2})
	join(t, b, newFake("a", 1))
	id, claim := lease(t, b, specOf("one"))
	lease(t, b, specOf("two"))
	three := specOf("three")
	put(t, b, three)
	_, err := b.Init(t.Context(), three, function.Lease{ID: "l"})
	wantCode(t, err, function.CodeBusy)
	if err := b.Stop(t.Context(), id, claim); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first to be stopped", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.functions[id].held()
	})
	lease(t, b, three)
	if n := len(b.functions); n != 2 {
		t.Errorf("%d functions are remembered", n)
	}
}

// The first who needs code is asked for it; the others of the namespace wait.
func TestCodeIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		h := join(t, b, newFake("a", 8))
		spec := specOf("hello")
		_, err := b.Init(t.Context(), spec, function.Lease{ID: "first"})
		wantCode(t, err, function.CodeCodeMissing)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := b.Init(t.Context(), spec, function.Lease{ID: function.NewLeaseID()}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		put(t, b, spec)
		wg.Wait()
		if n := h.get(func() int { return h.puts }); n != 1 {
			t.Errorf("the server got the code %d times", n)
		}
	})
}

func TestAWaitForCodeEndsWithTheBalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		spec := specOf("hello")
		_, err := b.Init(t.Context(), spec, function.Lease{ID: "first"})
		wantCode(t, err, function.CodeCodeMissing)
		var waiter sync.WaitGroup
		waiter.Go(func() {
			begin := time.Now()
			_, err := b.Init(t.Context(), spec, function.Lease{ID: "second"})
			if function.CodeOf(err) != function.CodeDraining || time.Since(begin) != 0 {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		})
		synctest.Wait()
		b.Close(t.Context())
		waiter.Wait()
	})
}

// A server that has joined and has not said yet what it offers is waited for, for
// a moment.
func TestInitWaitsForTheFirstReportOfWhoHasJustJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{})
		spec := specOf("hello")
		put(t, b, spec)
		for _, c := range []struct {
			silent time.Duration // before its first report
			want   function.Code
			took   time.Duration
		}{
			{time.Second, "", time.Second},
			{time.Hour, function.CodeNoCapacity, 2 * function.StatusInterval},
		} {
			h := newFake("a", 1)
			h.silent = true
			ctx, leave := context.WithCancel(t.Context())
			var member sync.WaitGroup
			member.Go(func() { b.Join(ctx, Member{ID: h.name, Host: h}) })
			synctest.Wait()
			member.Go(func() {
				select {
				case <-ctx.Done():
				case <-time.After(c.silent):
					h.set(func() { h.silent = false })
				}
			})
			begin := time.Now()
			_, err := b.Init(t.Context(), spec, function.Lease{ID: "l"})
			wantCode(t, err, c.want)
			if took := time.Since(begin); took != c.took {
				t.Errorf("it took %v, not %v", took, c.took)
			}
			leave()
			member.Wait()
			time.Sleep(time.Hour) // nobody remembers it
		}
	})
}

func TestTheLatestLeaseCounts(t *testing.T) {
	now := time.Now()
	f := &fn{leases: map[string]time.Time{}}
	for _, step := range []struct {
		id        string
		end, want time.Duration
	}{
		{"a", 5, 5}, {"b", 9, 9}, {"a", 6, 9}, {"b", 7, 7}, {"b", 1, 6}, {"a", 2, 2},
	} {
		if err := f.lease(step.id, now.Add(step.end), now); err != nil {
			t.Fatal(err)
		}
		if got := f.leaseEnd.Sub(now); got != step.want {
			t.Fatalf("%s until %d: live until %d, want %d", step.id, step.end, got, step.want)
		}
	}
}
