package balancer

import (
	"context"
	"fmt"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// A nullHost starts and runs everything at once: what is measured is the balancer.
type nullHost struct{ *fakeHost }

func (nullHost) Init(_ context.Context, spec function.Spec, _ function.Lease) (function.ID, error) {
	return spec.ID(), nil
}

func (nullHost) Run(context.Context, function.ID, function.Claim, *function.Activation, function.Output) (function.Summary, error) {
	return function.Summary{Outcome: function.OutcomeOK, Server: "null"}, nil
}

// joinNull makes h a member until the benchmark ends, whose runs take no time.
func joinNull(b *testing.B, bal *Balancer, h *fakeHost) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		bal.Join(ctx, Member{ID: h.name, Host: nullHost{h}})
	}()
	b.Cleanup(func() { cancel(); <-done })
}

func benchHost(b *testing.B, members int) (*Balancer, function.ID, function.Claim) {
	bal := open(b, Config{})
	for i := range members {
		h := newFake(fmt.Sprint("s", i), 16)
		joinNull(b, bal, h)
	}
	waitFor(b, "all members", func() bool { return len(bal.Status().Servers) == members })
	id, claim := lease(b, bal, specOf("hello"))
	return bal, id, claim
}

func BenchmarkRun(b *testing.B) {
	for _, members := range []int{1, 500} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) {
			bal, id, claim := benchHost(b, members)
			a, out := act("{}"), function.OutputFunc(discard)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bal.Run(b.Context(), id, claim, a, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRunParallel(b *testing.B) {
	bal, id, claim := benchHost(b, 3)
	out := function.OutputFunc(discard)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		a := act("{}")
		for pb.Next() {
			if _, err := bal.Run(b.Context(), id, claim, a, out); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// One server of 500 has the function and is busy; the others have no room. 64 callers share its slots.
func BenchmarkRunQueued(b *testing.B) {
	bal := open(b, Config{})
	for i := range 500 {
		h := newFake(fmt.Sprint("s", i), 16)
		if i > 0 {
			h.status.Servers[0].Memory = function.Memory{Budget: 1 << 30, Room: 1}
		}
		joinNull(b, bal, h)
	}
	waitFor(b, "all members", func() bool { return len(bal.Status().Servers) == 500 })
	spec := specOf("hello")
	spec.Require.Workers = 2
	id, claim := lease(b, bal, spec)
	out := function.OutputFunc(discard)
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		a := act("{}")
		for pb.Next() {
			if _, err := bal.Run(b.Context(), id, claim, a, out); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
