package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
)

// A fakeMemory is a machine whose fake processes take the usual memory each.
type fakeMemory struct {
	*fakeMachine
	live     atomic.Int64
	most     atomic.Int64
	busyEnds atomic.Int64 // busy processes that were stopped
	ends     atomic.Int64 // processes that were stopped
	endTakes atomic.Int64 // nanoseconds
}

func newFakeMemory(t *testing.T, workers int, run func(ctx context.Context) (function.Summary, error)) *fakeMemory {
	l := fakeLimits
	l.memory = int64(workers) * usualMemory
	m := &fakeMemory{fakeMachine: newFakeMachine(t, l, 1, run)}
	begin := m.owner.start
	m.owner.start = func(ctx context.Context, j startJob) (startResult, error) {
		n := m.live.Add(1)
		for most := m.most.Load(); n > most && !m.most.CompareAndSwap(most, n); most = m.most.Load() {
		}
		r, err := begin(ctx, j)
		p := r.process.(*fakeProcess)
		p.ending = func() {
			if p.busy.Load() > 0 && ctx.Err() == nil {
				m.busyEnds.Add(1)
			}
			m.ends.Add(1)
			time.Sleep(time.Duration(m.endTakes.Load()))
			m.live.Add(-1)
		}
		return r, err
	}
	return m
}

func TestAlwaysTrue8BudgetHoldsAndBusyWorkersStayWithFakeProcesses(t *testing.T) {
	m := newFakeMemory(t, 8, func(context.Context) (function.Summary, error) {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		return function.Summary{Outcome: function.OutcomeOK}, nil
	})
	const functions = 50
	var ids [functions]function.ID
	var claims [functions]function.Claim
	var wg sync.WaitGroup
	for i := range functions {
		wg.Go(func() { ids[i], claims[i] = m.init(t, fmt.Sprint("f", i)) })
	}
	wg.Wait()
	for range 16 {
		wg.Go(func() {
			for range 15 {
				i := rand.IntN(functions)
				sum, err := m.Run(t.Context(), ids[i], claims[i], &function.Activation{Timeout: time.Minute}, nil)
				if err != nil || sum.Outcome != function.OutcomeOK {
					t.Errorf("function %d: %+v, %v", i, sum, err)
				}
			}
		})
	}
	wg.Wait()
	if most := m.most.Load(); most > 8 {
		t.Errorf("%d processes at once, there is room for 8", most)
	}
	if n := m.busyEnds.Load(); n > 0 {
		t.Errorf("%d busy processes were stopped", n)
	}
	if len(m.processes) <= functions {
		t.Errorf("only %d starts: nothing was evicted, so this proves nothing", len(m.processes))
	}
}

// One namespace that asks for all the room leaves another its share.
func TestRoomIsFairBetweenNamespacesWithFakeProcesses(t *testing.T) {
	release := make(chan struct{})
	m := newFakeMemory(t, 4, func(ctx context.Context) (function.Summary, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return function.Summary{Outcome: function.OutcomeOK}, nil
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(release)
	greedy, greedyClaim := m.init(t, "greedy")
	for range 20 {
		wg.Go(func() { m.Run(t.Context(), greedy, greedyClaim, &function.Activation{Timeout: time.Minute}, nil) })
	}
	waitUntil(t, "the greedy one has all the room", func() bool { return m.status(t).workers == 4 })
	spec := function.Spec{Namespace: "other", Action: "modest", Kind: "fake", Main: "main"}
	id, lease := spec.ID(), function.Lease{ID: "l", TTL: time.Hour}
	inited := make(chan error, 1)
	go func() {
		_, err := m.owner.askInit(t.Context(), id, lease, newFakeFn(id, spec))
		inited <- err
	}()
	waitUntil(t, "the modest one waits", func() bool { return len(m.status(t).functions) == 2 })
	for n := 0; ; n++ { // its runs end one after the other; sixteen more wait
		select {
		case err := <-inited:
			if err != nil {
				t.Error(err)
			}
			if n >= 12 {
				t.Errorf("the modest one came in only after %d runs of the greedy one", n)
			}
			return
		case <-time.After(yieldAfter): // so long one must have waited
			release <- struct{}{}
		}
	}
}

func TestYields(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	one := need{Memory: 100}
	tenant := func(ns string, held, own int64, up, start time.Duration) tenancy {
		return tenancy{Namespace: ns, Held: held, Own: own, Memory: 100, Up: up, Start: start}
	}
	unasked := func(t tenancy, rested time.Duration) tenancy {
		t.Unasked, t.Rested = true, ago(rested)
		return t
	}
	rich, equal := tenant("rich", 400, 400, time.Minute, 0), tenant("a", 100, 100, time.Minute, 0)
	for name, c := range map[string]struct {
		tenancy tenancy
		help    help
		request request
		want    bool
	}{
		"the rich make way for the poor":       {rich, enough, request{Namespace: "poor", Need: one, Since: ago(yieldAfter)}, true},
		"not at once":                          {rich, enough, request{Namespace: "poor", Need: one, Since: now}, false},
		"not when it does not help":            {rich, useless, request{Namespace: "poor", Need: one, Since: ago(time.Hour)}, false},
		"not for one to be kept warm":          {rich, enough, request{Namespace: "poor", Need: need{Memory: 100, Spare: true}, Since: ago(time.Hour)}, false},
		"idle now, so eviction comes first":    {unasked(rich, time.Hour), enough, request{Namespace: "poor", Need: one, Since: ago(time.Minute)}, false},
		"never idle for long":                  {unasked(rich, minIdle), enough, request{Namespace: "poor", Need: one, Since: ago(quantum)}, true},
		"a part is taken by others at first":   {rich, aPart, request{Namespace: "poor", Need: need{Memory: 200}, Since: ago(quantum)}, false},
		"a part is kept later":                 {rich, aPart, request{Namespace: "poor", Need: need{Memory: 200}, Since: ago(reserveAfter)}, true},
		"the poor do not":                      {tenant("poor", 100, 100, time.Minute, 0), enough, request{Namespace: "rich", Held: 300, Need: one, Since: ago(time.Hour)}, false},
		"equals take turns":                    {equal, enough, request{Namespace: "b", Need: one, Since: ago(quantum)}, true},
		"a turn lasts":                         {tenant("a", 100, 100, quantum/2, 0), enough, request{Namespace: "b", Need: one, Since: ago(quantum)}, false},
		"a costly start lengthens a turn":      {tenant("a", 100, 100, time.Minute, time.Minute), enough, request{Namespace: "b", Need: one, Since: ago(quantum)}, false},
		"functions of one namespace":           {tenant("a", 400, 300, time.Minute, 0), enough, request{Namespace: "a", Held: 400, Own: 100, Need: one, Since: ago(yieldAfter)}, true},
		"more than an equal share":             {equal, aPart, request{Namespace: "b", Need: need{Memory: 300}, Since: ago(reserveAfter)}, false},
		"more than an equal share, in the end": {equal, aPart, request{Namespace: "b", Need: need{Memory: 300}, Since: ago(starveAfter)}, true},
		"but not to grow":                      {equal, aPart, request{Namespace: "b", Need: need{Memory: 300}, Since: ago(time.Hour), Workers: 1}, false},
	} {
		if got := c.tenancy.yields(c.request, c.help, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestHelps(t *testing.T) {
	gpus := []gpu.Budget{{UUID: "g", Total: 1000, Taken: 900, Workers: 1}}
	withGPU := tenancy{Memory: 100, GPUs: []string{"g"}, GPUMemory: 900}
	for name, c := range map[string]struct {
		room    room
		tenancy tenancy
		need    need
		want    help
	}{
		"its memory is enough":       {room{Budget: 1000, Taken: 1000}, tenancy{Memory: 100}, need{Memory: 100}, enough},
		"it is a part":               {room{Budget: 1000, Taken: 1000}, tenancy{Memory: 100}, need{Memory: 200}, aPart},
		"room is on its way":         {room{Budget: 1000, Taken: 1000, Ending: 100}, tenancy{Memory: 100}, need{Memory: 100}, useless},
		"its GPU is enough":          {room{GPUs: gpus, Back: gpus}, withGPU, need{Memory: 1, GPUs: 1, GPUMemory: 500}, enough},
		"its GPU is too small":       {room{GPUs: gpus, Back: gpus}, withGPU, need{Memory: 1, GPUs: 1, GPUMemory: 5000}, useless},
		"its GPU has vanished":       {room{}, withGPU, need{Memory: 1, GPUs: 1, GPUMemory: 500}, useless},
		"it has no GPU to give":      {room{GPUs: gpus, Back: gpus}, tenancy{Memory: 100}, need{Memory: 1, GPUs: 1, GPUMemory: 500}, useless},
		"no GPU, but memory, a part": {room{Budget: 1000, Taken: 1000, GPUs: gpus, Back: gpus}, tenancy{Memory: 100}, need{Memory: 1, GPUs: 1, GPUMemory: 500}, aPart},
	} {
		if got := c.room.helps(c.tenancy, c.need); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (m *fakeMachine) status(t *testing.T) status {
	t.Helper()
	e := &statusCall{watcher: &watcher{changed: make(chan struct{}, 1)}, reply: make(chan status, 1)}
	st, err := ask(t.Context(), m.owner, e, e.reply)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// A run that could not end in time is refused at once, with a time to come again.
func TestAlwaysTrue7RunThatWouldBeLateIsRefusedAtOnceWithFakeProcesses(t *testing.T) {
	l := fakeLimits
	l.workers = 1
	m := newFakeMachine(t, l, 1, func(ctx context.Context) (function.Summary, error) {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
		return function.Summary{Outcome: function.OutcomeOK}, nil
	})
	id, claim := m.init(t, "slow")
	ctx, cancel := context.WithCancel(t.Context())
	for range knownAfter {
		m.runOnce(t, id, claim)
	}
	var wg sync.WaitGroup
	for range 40 { // two seconds' work
		wg.Go(func() { m.Run(ctx, id, claim, &function.Activation{Timeout: time.Minute}, nil) })
	}
	waitUntil(t, "the queue is long", func() bool { return m.status(t).queued >= 30 })
	_, err := m.Run(ctx, id, claim, &function.Activation{Timeout: 300 * time.Millisecond}, nil)
	e := function.AsError(err)
	if e == nil || e.Code != function.CodeBusy || e.RetryAfter < 100*time.Millisecond {
		t.Errorf("got %+v", e)
	}
	cancel()
	wg.Wait()
}

// Thousands of functions are known, and what one run costs does not grow with them.
func TestTenThousandFunctionsAreKnownWithFakeProcesses(t *testing.T) {
	l := fakeLimits
	l.idleTTL = time.Millisecond
	m := newFakeMachine(t, l, 1, nil)
	const functions = 10_000
	var wg sync.WaitGroup
	var ids [functions]function.ID
	var claims [functions]function.Claim
	for worker := range 100 {
		wg.Go(func() {
			for i := worker; i < functions; i += 100 {
				ids[i], claims[i] = m.init(t, fmt.Sprint("f", i))
			}
		})
	}
	wg.Wait()
	if st := m.status(t); len(st.functions) == 0 || st.known != functions {
		t.Fatalf("%d functions are known", st.known)
	}
	for _, i := range []int{0, functions / 2, functions - 1} {
		if sum, err := m.Run(t.Context(), ids[i], claims[i], &function.Activation{Timeout: time.Minute}, nil); err != nil || sum.Outcome != function.OutcomeOK {
			t.Errorf("function %d: %+v, %v", i, sum, err)
		}
	}
}
