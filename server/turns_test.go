package server

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/sandbox"
)

// A do is an event of a test's own.
type do func(o *owner)

func (f do) apply(o *owner) { f(o) }

// tell makes the owner do something, and returns when it has.
func (m *fakeMachine) tell(t *testing.T, what func(o *owner)) {
	t.Helper()
	done := make(chan struct{}, 1)
	if _, err := ask(t.Context(), m.owner, do(func(o *owner) { what(o); done <- struct{}{} }), done); err != nil {
		t.Fatal(err)
	}
}

// initAs makes the machine ready for a function that says itself what it needs.
func (m *fakeMachine) initAs(t *testing.T, ns, name string, r function.Requirements) (function.ID, function.Claim) {
	t.Helper()
	spec := function.Spec{Namespace: ns, Action: name, Kind: "fake", Main: "main", Require: r}
	id, lease := spec.ID(), function.Lease{ID: function.NewLeaseID(), TTL: time.Hour}
	if _, err := m.owner.askInit(t.Context(), id, lease, newFakeFn(id, spec)); err != nil {
		t.Fatal(err)
	}
	return id, function.Claim{Lease: lease.ID}
}

func (m *fakeMachine) starts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.processes)
}

// gated is a run that takes as long as the gate is shut.
func gated(gate <-chan struct{}) func(ctx context.Context) (function.Summary, error) {
	return func(ctx context.Context) (function.Summary, error) {
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return function.Summary{Outcome: function.OutcomeOK}, nil
	}
}

func taking(d time.Duration) func(ctx context.Context) (function.Summary, error) {
	return func(ctx context.Context) (function.Summary, error) {
		time.Sleep(d)
		return function.Summary{Outcome: function.OutcomeOK}, nil
	}
}

// A run that waited for room in vain makes nobody go afterwards.
func TestWhoGaveUpGetsNoRoomWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m := newFakeMemory(t, 1, gated(gate))
		left, leftClaim := m.init(t, "left")
		id, claim := m.init(t, "stays")
		ended := make(chan error, 1)
		go func() {
			_, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil)
			ended <- err
		}()
		synctest.Wait()
		_, err := m.Run(t.Context(), left, leftClaim, &function.Activation{Timeout: time.Second}, nil)
		if function.CodeOf(err) != function.CodeTimeout {
			t.Fatal(err)
		}
		before := m.starts()
		m.processes[before-1].Stop() // now there is room
		time.Sleep(time.Minute)
		close(gate)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if n := m.starts() - before; n > 0 {
			t.Errorf("%d workers were started for nobody", n)
		}
	})
}

// Who looked for room while the only worker was starting, or busy, gets it once that one has been idle for
// a while, though nothing else happens. It once waited for ever.
func TestRoomIsFoundThoughNothingElseHappensWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory(t, 1, taking(yieldAfter/2))
		begin := m.owner.start
		m.owner.start = func(ctx context.Context, j startJob) (startResult, error) {
			time.Sleep(time.Second)
			return begin(ctx, j)
		}
		var inits sync.WaitGroup
		began := time.Now()
		for _, name := range []string{"first", "second"} { // the second one comes while the first one starts
			inits.Go(func() { m.init(t, name) })
		}
		inits.Wait()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the second function was ready after %v", took)
		}
		id, claim := m.init(t, "third")
		go m.Run(t.Context(), id, claim, &function.Activation{}, nil)
		synctest.Wait()
		began = time.Now()
		m.init(t, "fourth") // while the third one runs
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the fourth function was ready after %v", took)
		}
	})
}

// Nor does the function stay for ever that it was the last to hold.
func TestAFunctionGoesWithItsLastRunThatGaveUpWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m := newFakeMemory(t, 1, gated(gate))
		m.tell(t, func(o *owner) { o.leaseGrace = time.Second })
		left, leftClaim := m.init(t, "left")
		id, claim := m.init(t, "stays")
		ended := make(chan error, 1)
		go func() {
			_, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil)
			ended <- err
		}()
		synctest.Wait()
		go func() {
			time.Sleep(time.Second)
			if err := m.Stop(t.Context(), left, leftClaim); err != nil {
				t.Error(err)
			}
		}()
		_, err := m.Run(t.Context(), left, leftClaim, &function.Activation{Timeout: time.Minute}, nil)
		if function.CodeOf(err) != function.CodeTimeout {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if n := m.functionCount(t); n != 1 {
			t.Errorf("%d functions are here, one is held", n)
		}
		close(gate)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// More workers to be kept warm than there is room for do not drive each other out for ever.
func TestWarmWorkersLeaveEachOtherInPeaceWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory(t, 2, nil)
		for i := range 4 {
			m.initAs(t, "n", fmt.Sprint("f", i), function.Requirements{Warm: 1})
		}
		time.Sleep(time.Minute)
		before := m.starts()
		time.Sleep(10 * time.Minute)
		if n := m.starts() - before; n > 0 {
			t.Errorf("%d starts though nobody asked for anything", n)
		}
	})
}

// A function that is called again and again, never idle for long, leaves room to others in the end.
func TestWhoIsNeverIdleForLongMakesWayWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory(t, 1, taking(20*time.Millisecond))
		id, claim := m.init(t, "steady")
		var calls sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		calls.Go(func() {
			for ctx.Err() == nil {
				m.Run(ctx, id, claim, &function.Activation{}, nil)
				time.Sleep(50 * time.Millisecond)
			}
		})
		began := time.Now()
		m.initAs(t, "n", "late", function.Requirements{})
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("it waited for %v", waited)
		}
		stop()
		calls.Wait()
	})
}

// One that needs more than any worker has gets it when several have made way.
func TestWhoNeedsMuchGetsItWithFakeProcesses(t *testing.T) {
	for _, tenants := range []int{1, 4} {
		t.Run(fmt.Sprint(tenants, " namespaces"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newFakeMemory(t, 4, taking(20*time.Millisecond))
				ctx, stop := context.WithCancel(t.Context())
				var calls sync.WaitGroup
				for i := range tenants {
					id, claim := m.initAs(t, fmt.Sprint("ns", i), "greedy", function.Requirements{})
					for range 16 {
						calls.Go(func() {
							for ctx.Err() == nil {
								m.Run(ctx, id, claim, &function.Activation{}, nil)
							}
						})
					}
				}
				time.Sleep(5 * time.Second)
				began := time.Now()
				m.initAs(t, "other", "large", function.Requirements{Memory: 2 * usualMemory})
				if waited := time.Since(began); waited > 20*time.Second {
					t.Errorf("it waited for %v", waited)
				}
				stop()
				calls.Wait()
			})
		})
	}
}

// No more workers make way than are needed, also when their ends take long.
func TestNotAllMakeWayForOneWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory(t, 4, taking(20*time.Millisecond))
		id, claim := m.init(t, "rich")
		ctx, stop := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		for range 16 {
			calls.Go(func() {
				for ctx.Err() == nil {
					m.Run(ctx, id, claim, &function.Activation{}, nil)
				}
			})
		}
		time.Sleep(5 * time.Second)
		m.endTakes.Store(int64(3 * time.Second)) // its memory comes back late
		m.initAs(t, "poor", "f", function.Requirements{})
		if n := m.ends.Load(); n != 1 {
			t.Errorf("%d workers made way for one", n)
		}
		stop()
		calls.Wait()
	})
}

// Who waits for a GPU keeps nobody out who needs none.
func TestWhoWaitsForAGPUHoldsUpNobodyElseWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m := newFakeMemory(t, 4, gated(gate))
		m.tell(t, func(o *owner) {
			o.ledger.gpus = []gpu.Device{{UUID: "g", Total: 1 << 30}}
			o.devices = func() []gpu.Device { return []gpu.Device{{UUID: "g", Total: 1 << 30}} }
		})
		id, claim := m.initAs(t, "n", "holder", function.Requirements{GPUs: 1})
		var runs sync.WaitGroup
		runs.Go(func() { m.Run(t.Context(), id, claim, &function.Activation{}, nil) })
		synctest.Wait()
		runs.Go(func() { m.initAs(t, "poor", "waits", function.Requirements{GPUs: 1}) })
		time.Sleep(time.Minute)
		began := time.Now()
		m.initAs(t, "n", "plain", function.Requirements{})
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("it waited for %v", waited)
		}
		close(gate)
		runs.Wait()
	})
}

func TestReserve(t *testing.T) {
	gpus := []gpu.Budget{{UUID: "g", Total: 1000}}
	full := []gpu.Budget{{UUID: "g", Total: 1000, Taken: 1000, Workers: 1}}
	for name, c := range map[string]struct {
		room      room
		for_, who need
		want      bool
	}{
		"memory for who lacks it":   {room{Budget: 1000, Taken: 500}, need{Memory: 600}, need{Memory: 100}, false},
		"a GPU for who lacks it":    {room{GPUs: full, Back: full}, need{GPUs: 1, GPUMemory: 10}, need{GPUs: 1, GPUMemory: 5}, false},
		"no memory for a GPU":       {room{Budget: 1000, Taken: 500, GPUs: full}, need{Memory: 100, GPUs: 1}, need{Memory: 100}, true},
		"but its own":               {room{Budget: 1000, Taken: 500, GPUs: full}, need{Memory: 400, GPUs: 1}, need{Memory: 200}, false},
		"a GPU lacks only memory":   {room{Budget: 1000, Taken: 500, GPUs: gpus}, need{Memory: 600, GPUs: 1}, need{Memory: 100, GPUs: 1}, false},
		"no budget, so none lacked": {room{Taken: 500, GPUs: full}, need{Memory: 400, GPUs: 1}, need{Memory: 9000}, true},
	} {
		if got := makeRoom(c.room.reserve(c.for_), c.who, time.Time{}).Fits; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// crashing is what a run returns whose process has ended.
func crashing(p *fakeProcess) (function.Summary, error) {
	p.Stop()
	return function.Summary{Outcome: function.OutcomeCrashed, Error: "crashed on purpose"}, nil
}

// One process that takes several runs along is one crash.
func TestRunsThatOneCrashTakesAlongCountOnceWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *fakeMachine
		crash := make(chan struct{})
		m = newFakeMachine(t, fakeLimits, 8, func(ctx context.Context) (function.Summary, error) {
			<-crash
			m.mu.Lock()
			defer m.mu.Unlock()
			return crashing(m.processes[0])
		})
		id, claim := m.init(t, "f")
		var runs sync.WaitGroup
		for range 8 {
			runs.Go(func() {
				if sum, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil); err != nil || sum.Outcome != function.OutcomeCrashed {
					t.Errorf("%+v, %v", sum, err)
				}
			})
		}
		synctest.Wait()
		close(crash)
		runs.Wait()
		_, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil)
		if err != nil {
			t.Errorf("one crash, and it has a pause: %v", err)
		}
	})
}

// Who is ended since all together use too much did not crash; and one at a time is enough.
func TestReliefEndsOneAndIsNoCrashWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMemory(t, 4, nil)
		id, claim := m.init(t, "f")
		m.endTakes.Store(int64(time.Second))
		for range crashLoop + 2 {
			p := m.processes[len(m.processes)-1]
			p.run = func(context.Context) (function.Summary, error) {
				<-p.done
				return crashing(p)
			}
			ended := make(chan function.Summary, 1)
			go func() {
				sum, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil)
				if err != nil {
					t.Error(err)
				}
				ended <- sum
			}()
			synctest.Wait()
			for range 3 { // it takes a while until it has ended
				m.sample(t, 5*usualMemory)
				synctest.Wait()
			}
			if sum := <-ended; sum.Outcome != function.OutcomeCrashed {
				t.Errorf("%+v", sum)
			}
			if n := p.ends.Load(); n != 1 {
				t.Errorf("it was ended %d times", n)
			}
			m.runOnce(t, id, claim)
		}
	})
}

// sample tells the owner that each worker uses so much.
func (m *fakeMachine) sample(t *testing.T, each int64) {
	t.Helper()
	e := &listSlots{reply: make(chan []*slot, 1)}
	slots, err := ask(t.Context(), m.owner, e, e.reply)
	if err != nil {
		t.Fatal(err)
	}
	usages := make([]sandbox.Usage, len(slots))
	for i := range usages {
		usages[i].Memory = each
	}
	m.owner.send(&sampled{slots: slots, usages: usages})
}

// Workers that are about to end get no runs.
func TestARunIsNotGivenToWorkersThatTakeNoMoreWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m := newFakeMachine(t, limits{workers: 8, maxStarts: 8, queue: 100, idleTTL: time.Hour, leaseGrace: time.Hour}, 1, gated(gate))
		id, claim := m.init(t, "f")
		var runs sync.WaitGroup
		for range 8 {
			runs.Go(func() { m.Run(t.Context(), id, claim, &function.Activation{}, nil) })
		}
		time.Sleep(time.Second)
		close(gate)
		runs.Wait()
		if m.starts() < 2*maxTries {
			t.Fatalf("only %d workers", m.starts())
		}
		for _, p := range m.processes {
			p.retired.Store(true)
		}
		if _, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil); err != nil {
			t.Error(err)
		}
	})
}

// One slow run among fast ones, or the first one, makes no queue seem long.
func TestOneSlowRunRefusesNobody(t *testing.T) {
	f := newFakeFn(function.ID{}, function.Spec{})
	for range 100 {
		f.took(10 * time.Millisecond)
	}
	f.took(time.Hour)
	if f.usualTime > 15*time.Millisecond {
		t.Errorf("then a run usually takes %v", f.usualTime)
	}
	f = newFakeFn(function.ID{}, function.Spec{})
	f.took(30 * time.Second)
	for range knownAfter - 1 {
		f.took(10 * time.Millisecond)
	}
	if f.usualTime > 4*time.Second {
		t.Errorf("after a slow first run one usually takes %v", f.usualTime)
	}
}

// The first start, which prepares the function, tells nothing about the next ones.
func TestAFirstStartThatTookLongRefusesNobodyWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeLimits
		l.idleTTL = time.Minute
		m := newFakeMachine(t, l, 1, nil)
		begin, first := m.owner.start, true
		m.owner.start = func(ctx context.Context, j startJob) (startResult, error) {
			if first {
				time.Sleep(10 * time.Minute) // it builds the environment
			}
			first = false
			time.Sleep(time.Second)
			r, err := begin(ctx, j)
			r.took = time.Second
			return r, err
		}
		id, claim := m.init(t, "f")
		time.Sleep(30 * time.Minute) // no worker is left
		var runs sync.WaitGroup
		for range 3 {
			runs.Go(func() {
				if _, err := m.Run(t.Context(), id, claim, &function.Activation{Timeout: time.Minute}, nil); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		runs.Wait()
	})
}

// While a server drains its workers are looked after, and none is started.
func TestDrainingIsWatchedAndStartsNothingWithFakeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m := newFakeMemory(t, 1, gated(gate))
		m.kernelLimits = true
		watching := make(chan struct{})
		m.tasks.Go(func() { m.watchUsage(); close(watching) })
		wants, wantsClaim := m.init(t, "wants")
		id, claim := m.init(t, "runs")
		var runs sync.WaitGroup
		runs.Go(func() { m.Run(t.Context(), id, claim, &function.Activation{}, nil) })
		synctest.Wait()
		runs.Go(func() { m.Run(t.Context(), wants, wantsClaim, &function.Activation{}, nil) })
		synctest.Wait()
		before := m.starts()
		m.owner.send(draining{})
		time.Sleep(time.Minute)
		select {
		case <-watching:
			t.Error("nobody looks after the run")
		default:
		}
		close(gate)
		runs.Wait()
		time.Sleep(time.Second)
		if n := m.starts() - before; n > 0 {
			t.Errorf("%d starts while draining", n)
		}
	})
}
