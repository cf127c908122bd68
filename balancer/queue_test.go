package balancer

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// slotsAt has the fake report that it takes so many runs of the function at once.
func (h *fakeHost) slotsAt(id function.ID, slots, running int) {
	h.set(func() {
		h.status.Functions = []function.FunctionStatus{{ID: id, Server: h.name, State: "ready", Slots: slots, Running: running, Usual: 100_000}}
	})
}

// knows waits until the balancer knows of the function that it has so many slots there.
func knows(t testing.TB, b *Balancer, h *joined, id function.ID, slots int) {
	t.Helper()
	waitFor(t, "the slots to be known", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		site := b.members[h.name].holders[id]
		return site != nil && site.said.slots == slots
	})
}

// oneSlot is a balancer with one server that runs the function one at a time, and holds
// each run until it is told to go on.
func oneSlot(t *testing.T, cfg Config) (*Balancer, *joined, function.ID, function.Claim, chan struct{}) {
	b := open(t, cfg)
	h := join(t, b, newFake("a", 1))
	spec := specOf("hello")
	spec.Require.Workers = 1
	id, claim := lease(t, b, spec)
	hold := make(chan struct{})
	h.set(func() { h.onRun = func(*function.Activation) { <-hold } })
	return b, h, id, claim, hold
}

func TestRunsWaitForASlotInTheirOrder(t *testing.T) {
	b, h, id, claim, hold := oneSlot(t, Config{})
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
		waitFor(t, "the run or its wait", func() bool { return h.ran()+b.waiting() == i+1 })
	}
	if h.ran() != 1 {
		t.Errorf("%d runs at a server with one slot", h.ran())
	}
	for range 5 {
		hold <- struct{}{}
	}
	wg.Wait()
	if got := strings.Join(h.runs, ""); got != "01234" {
		t.Errorf("the order was %s", got)
	}
}

func TestAlwaysTrue7QueueIsBounded(t *testing.T) {
	b, h, id, claim, hold := oneSlot(t, Config{Queue: 2})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
		waitFor(t, "the run or its wait", func() bool { return h.ran()+b.waiting() == i+1 })
	}
	_, err := run(t, b, id, claim, "one too many")
	e := function.AsError(err)
	if e.Code != function.CodeNoCapacity || e.RetryAfter < time.Second || !strings.Contains(e.Message, "2 runs of /guest/hello wait") {
		t.Errorf("%+v", e)
	}
	close(hold)
	wg.Wait()
	mustRun(t, b, id, claim, "there is room again")
}

func TestAlwaysTrue7WaitForASlotEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, id, claim, hold := oneSlot(t, Config{})
		var wg sync.WaitGroup
		wg.Go(func() { mustRun(t, b, id, claim, "1") })
		synctest.Wait()
		short := act("2")
		short.Timeout = 5 * time.Second
		begin := time.Now()
		_, err := b.Run(t.Context(), id, claim, short, function.OutputFunc(discard))
		e := function.AsError(err)
		want := `the time limit was over while /guest/hello waited: of the 1 server with the kind "python:3", 1 busy (a)`
		if e.Code != function.CodeNoCapacity || e.Message != want || e.RetryAfter == 0 || time.Since(begin) != 5*time.Second {
			t.Errorf("%+v after %v", e, time.Since(begin))
		}
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := b.Run(ctx, id, claim, act("3"), function.OutputFunc(discard))
			wantCode(t, err, function.CodeCancelled)
		})
		synctest.Wait()
		if b.waiting() != 1 {
			t.Errorf("%d wait", b.waiting())
		}
		cancel()
		synctest.Wait()
		if b.waiting() != 0 {
			t.Error("a caller that left is still in the queue")
		}
		close(hold)
		wg.Wait()
		if h.ran() != 1 {
			t.Errorf("%d runs", h.ran())
		}
	})
}

// A run that cannot end within its time limit, because too many wait before it, is told so at once.
func TestAlwaysTrue7ARunThatWouldWaitForTooLongIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, id, claim, hold := oneSlot(t, Config{})
		close(hold)
		h.set(func() {
			h.summary = func(string) *function.Summary {
				time.Sleep(time.Second)
				return &function.Summary{Outcome: function.OutcomeOK, Stations: []function.Station{{Name: "function", Micros: 1e6}, {Name: "server", Micros: 1e6}}}
			}
		})
		mustRun(t, b, id, claim, "one tells how long they take")
		var wg sync.WaitGroup
		var mu sync.Mutex
		codes := map[function.Code]int{}
		for range 10 {
			wg.Go(func() {
				begin := time.Now()
				short := act("1")
				short.Timeout = 4500 * time.Millisecond
				_, err := b.Run(t.Context(), id, claim, short, function.OutputFunc(discard))
				if e := function.AsError(err); e != nil && (e.RetryAfter == 0 || time.Since(begin) != 0) {
					t.Errorf("%+v after %v", e, time.Since(begin))
				}
				mu.Lock()
				codes[function.CodeOf(err)]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if codes[""] < 4 || codes[function.CodeBusy] < 4 || codes[""]+codes[function.CodeBusy] != 10 {
			t.Errorf("the answers: %v", codes)
		}
	})
}

func TestARunMayTakeMoreSlotsWhenAReportSaysSo(t *testing.T) {
	b, h, id, claim, hold := oneSlot(t, Config{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
		waitFor(t, "the run or its wait", func() bool { return h.ran()+b.waiting() == i+1 })
	}
	h.slotsAt(id, 2, 1)
	waitFor(t, "the second run", func() bool { return h.ran() >= 2 })
	close(hold)
	wg.Wait()
}

func TestQueuedRunsGoToAServerThatJoins(t *testing.T) {
	b, h, id, claim, hold := oneSlot(t, Config{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
		waitFor(t, "the run or its wait", func() bool { return h.ran()+b.waiting() == i+1 })
	}
	other := join(t, b, newFake("c", 1))
	waitFor(t, "a queued run at the new server", func() bool { return other.ran() >= 1 })
	close(hold)
	wg.Wait()
	if h.ran() == 0 || h.ran()+other.ran() != 3 {
		t.Errorf("%d and %d runs", h.ran(), other.ran())
	}
}

func TestColdBurstIsStartedOncePerServer(t *testing.T) {
	b := open(t, Config{})
	hosts := []*joined{join(t, b, newFake("a", 2)), join(t, b, newFake("c", 2)), join(t, b, newFake("e", 2))}
	spec := specOf("hello")
	id, claim := lease(t, b, spec)
	for _, h := range hosts { // it is cold again
		h.set(func() { clear(h.leases); h.onRun = func(*function.Activation) { time.Sleep(20 * time.Millisecond) } })
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
	}
	wg.Wait()
	ran := 0
	for _, h := range hosts {
		ran += h.ran()
		if n := h.get(func() int { return len(h.leases[id]) }); n > 1 {
			t.Errorf("%d starts at %s", n, h.name)
		}
	}
	if ran != 20 {
		t.Errorf("%d runs", ran)
	}
}

func TestQueuedRunsAreToldWhenTheStartFails(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 2))
	id, claim := lease(t, b, specOf("hello"))
	hold := make(chan struct{})
	h.set(func() {
		clear(h.leases)
		h.initErr = func(context.Context) error {
			<-hold
			return &function.Error{Code: function.CodeInitFailed, Message: "SyntaxError"}
		}
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := run(t, b, id, claim, "1")
			if e := function.AsError(err); e == nil || e.Code != function.CodeInitFailed || e.Message != "SyntaxError" {
				t.Errorf("%v", err)
			}
		})
	}
	waitFor(t, "all to wait", func() bool { return b.waiting() == 4 })
	close(hold)
	wg.Wait()
	if h.ran() != 0 {
		t.Errorf("%d runs", h.ran())
	}
}

func TestQueueGoesElsewhereWhenTheServerDiesWhileItStarts(t *testing.T) {
	b := open(t, Config{})
	h := join(t, b, newFake("a", 2))
	id, claim := lease(t, b, specOf("hello"))
	h.set(func() { clear(h.leases); h.holdInit = make(chan struct{}) })
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
	}
	waitFor(t, "all to wait for the start", func() bool { return b.waiting() == 4 && h.inited() == 2 })
	h.cutNow()
	<-h.done
	other := join(t, b, newFake("c", 2))
	wg.Wait()
	if other.ran() != 4 || other.inited() != 1 || h.ran() != 0 {
		t.Errorf("%d runs and %d starts at the other, %d runs at the dead", other.ran(), other.inited(), h.ran())
	}
}

// One namespace's many functions don't beat another's single one where all want the same server.
func TestNamespacesShareAServerFairly(t *testing.T) {
	b := open(t, Config{InFlightPerMember: 1})
	h := join(t, b, newFake("a", 1))
	type fnOf struct {
		id    function.ID
		claim function.Claim
	}
	var greedy []fnOf
	for i := range 20 {
		spec := specOf(fmt.Sprint("g", i))
		spec.Namespace = "greedy"
		id, claim := lease(t, b, spec)
		greedy = append(greedy, fnOf{id, claim})
	}
	modestID, modest := lease(t, b, specOf("modest"))
	hold := make(chan struct{})
	h.set(func() { h.onRun = func(*function.Activation) { <-hold } })
	var wg sync.WaitGroup
	n := 0
	enter := func(id function.ID, claim function.Claim, body string) {
		n++
		wg.Go(func() { mustRun(t, b, id, claim, body) })
		waitFor(t, "the run or its wait", func() bool { return h.ran()+b.waiting() == n })
	}
	for _, f := range greedy {
		enter(f.id, f.claim, "g")
		enter(f.id, f.claim, "g")
	}
	for range 5 {
		enter(modestID, modest, "m")
	}
	for range n {
		hold <- struct{}{}
	}
	wg.Wait()
	first := strings.Join(h.runs[1:12], "") // the first one met nobody
	if m := strings.Count(first, "m"); m < 4 {
		t.Errorf("of the first 11 that had to wait %d were the modest one's: %s", m, first)
	}
}

// After a long queue the next run still has the function started, at a server that came back without it.
func TestARunAfterALongQueueIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, id, claim, hold := oneSlot(t, Config{})
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() { mustRun(t, b, id, claim, fmt.Sprint(i)) })
			synctest.Wait()
		}
		close(hold)
		wg.Wait()
		h.cutNow()
		<-h.done
		back := join(t, b, newFake("a", 1))
		begin := time.Now()
		mustRun(t, b, id, claim, "the next")
		if took := time.Since(begin); took != 0 || back.inited() != 1 {
			t.Errorf("it took %v, with %d starts", took, back.inited())
		}
	})
}
