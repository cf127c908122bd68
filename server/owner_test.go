package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/codestore"
	"github.com/whiskaway/whiskaway/function"
)

// A fakeProcess stands for a worker, so that the owner alone is tested and measured.
type fakeProcess struct {
	slots   int
	done    chan struct{}
	once    sync.Once
	run     func(ctx context.Context) (function.Summary, error)
	busy    atomic.Int32
	over    atomic.Bool  // it was given more runs than it takes
	retired atomic.Bool  // it takes no more, though it has not ended
	ends    atomic.Int32 // how often it was told to end
	ending  func()       // called once, before it ends; may be nil
}

func (p *fakeProcess) Run(ctx context.Context, _ *function.Activation, _ function.Output) (function.Summary, error) {
	if p.retired.Load() {
		return function.Summary{}, errors.New("it takes no more")
	}
	if int(p.busy.Add(1)) > p.slots {
		p.over.Store(true)
	}
	defer p.busy.Add(-1)
	if p.run == nil {
		return function.Summary{Outcome: function.OutcomeOK}, nil
	}
	return p.run(ctx)
}
func (p *fakeProcess) Done() <-chan struct{} { return p.done }
func (p *fakeProcess) Concurrency() int      { return p.slots }
func (p *fakeProcess) Memory() int64         { return 0 }
func (p *fakeProcess) Retiring() bool        { return p.retired.Load() }
func (p *fakeProcess) End(string)            { p.ends.Add(1); p.Stop() }
func (p *fakeProcess) Stop() {
	p.once.Do(func() {
		if p.ending != nil {
			p.ending()
		}
		close(p.done)
	})
}

// A fakeMachine is an owner over fake processes.
type fakeMachine struct {
	*Server
	mu        sync.Mutex
	processes []*fakeProcess
}

func newFakeMachine(tb testing.TB, l limits, slots int, run func(ctx context.Context) (function.Summary, error)) *fakeMachine {
	m := &fakeMachine{Server: &Server{name: "fake", offer: offer{kinds: fakeKinds{"fake"}}}}
	m.owner = newOwner(l, slog.New(slog.DiscardHandler))
	m.owner.start = func(context.Context, startJob) (startResult, error) {
		p := &fakeProcess{slots: slots, done: make(chan struct{}), run: run}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.processes = append(m.processes, p)
		return startResult{process: p}, nil
	}
	m.owner.clean = func(*fn) {}
	m.tasks.Go(m.owner.loop)
	tb.Cleanup(func() {
		m.owner.send(draining{})
		m.owner.send(closing{})
		m.tasks.Wait()
		m.owner.tasks.Wait()
	})
	return m
}

// init makes the machine ready for the function called name.
func (m *fakeMachine) init(tb testing.TB, name string) (function.ID, function.Claim) {
	spec := function.Spec{Namespace: "n", Action: name, Kind: "fake", Main: "main"}
	id, lease := spec.ID(), function.Lease{ID: function.NewLeaseID(), TTL: time.Hour}
	_, err := m.owner.askInit(context.Background(), id, lease, newFakeFn(id, spec))
	if err != nil {
		tb.Fatal(err)
	}
	return id, function.Claim{Lease: lease.ID}
}

func newFakeFn(id function.ID, spec function.Spec) *fn { return newFn(id, spec, &codestore.Blob{}, "") }

var fakeLimits = limits{workers: 4, maxStarts: 2, queue: 1000, idleTTL: time.Hour, leaseGrace: time.Hour}

// What one run costs at the owner, events and replies included, with a fake process that
// takes no time: the whole of Run.
func BenchmarkOwnerRunWithFakeProcess(b *testing.B) {
	for _, c := range []struct {
		name    string
		callers int // for each CPU
	}{{"alone", 0}, {"callers=2", 1}, {"callers=64", 32}} {
		b.Run(c.name, func(b *testing.B) {
			m := newFakeMachine(b, fakeLimits, 1, nil)
			for range 100 { // others, which must not make it slower
				m.init(b, function.NewLeaseID())
			}
			id, claim := m.init(b, "measured")
			act := &function.Activation{Timeout: time.Minute}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			one := func() {
				if _, err := m.Run(ctx, id, claim, act, nil); err != nil {
					b.Error(err)
				}
			}
			b.ReportAllocs()
			if c.callers == 0 {
				for b.Loop() {
					one()
				}
				return
			}
			b.SetParallelism(c.callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					one()
				}
			})
		})
	}
}

// Callers that leave at any moment never leave a slot behind, nor take two.
func TestSlotsComeBackExactlyOnceWithFakeProcesses(t *testing.T) {
	for _, slots := range []int{1, 3} {
		m := newFakeMachine(t, fakeLimits, slots, func(ctx context.Context) (function.Summary, error) {
			select {
			case <-time.After(50 * time.Microsecond):
				return function.Summary{Outcome: function.OutcomeOK}, nil
			case <-ctx.Done():
				return function.Summary{Outcome: function.OutcomeCancelled}, nil
			}
		})
		id, claim := m.init(t, "f")
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				for j := range 100 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration((i*j)%400)*time.Microsecond)
					m.Run(ctx, id, claim, &function.Activation{}, nil)
					cancel()
				}
			})
		}
		wg.Wait()
		e := &statusCall{watcher: &watcher{changed: make(chan struct{}, 1)}, reply: make(chan status, 1)}
		st, err := ask(t.Context(), m.owner, e, e.reply)
		if err != nil {
			t.Fatal(err)
		}
		f := st.functions[0]
		if st.running != 0 || f.Running != 0 || f.Queued != 0 || f.Idle != f.Workers {
			t.Errorf("after all calls: %+v", st)
		}
		for _, p := range m.processes {
			if p.over.Load() {
				t.Error("a process was given more runs than it takes")
			}
		}
		if sum, err := m.Run(t.Context(), id, claim, &function.Activation{}, nil); err != nil || sum.Outcome != function.OutcomeOK {
			t.Errorf("the next run: %+v, %v", sum, err)
		}
	}
}
