package balancer

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/balancer/scaler"
	"github.com/whiskaway/whiskaway/function"
)

// brings is a scaler's answer for the label gpu.
func brings(wait time.Duration) func([]string, string) (time.Duration, bool) {
	return func(labels []string, _ string) (time.Duration, bool) {
		return wait, len(labels) == 1 && labels[0] == "gpu"
	}
}

// demanded waits until the balancer tells what waits for a server.
func demanded(t *testing.T, b *Balancer, waiting int) (d scaler.Demand) {
	t.Helper()
	waitFor(t, "the demand", func() bool {
		all := b.Fleet().Demands
		if len(all) == 1 {
			d = all[0]
		}
		return len(all) == 1 && all[0].Waiting == waiting
	})
	return d
}

func TestInitWaitsForAServerThatAScalerBrings(t *testing.T) {
	b := open(t, Config{Scales: brings(time.Minute)})
	spec := specOf("f", "gpu")
	put(t, b, spec)
	begun := b.Demanded()
	inits := make(chan error, 2)
	for range cap(inits) {
		go func() {
			_, err := b.Init(context.Background(), spec, function.Lease{ID: function.NewLeaseID(), TTL: anHour})
			inits <- err
		}()
	}
	<-begun
	if d := demanded(t, b, 2); d.Kind != "python:3" || len(d.Labels) != 1 || d.Labels[0] != "gpu" || d.Full || d.Lacking != nil {
		t.Errorf("the demand is %+v", d)
	}
	join(t, b, newFake("m", 1, "gpu"))
	for range cap(inits) {
		if err := <-inits; err != nil {
			t.Error(err)
		}
	}
	if all := b.Fleet().Demands; len(all) != 0 {
		t.Errorf("there is still demand: %+v", all)
	}
}

func TestWhatNoScalerBringsIsRefusedAtOnce(t *testing.T) {
	b := open(t, Config{Scales: brings(time.Minute)})
	spec := specOf("f", "tpu")
	put(t, b, spec)
	_, err := b.Init(t.Context(), spec, function.Lease{ID: "l", TTL: anHour})
	wantCode(t, err, function.CodeNoCapacity)
}

func TestWaitForAScalerEndsAndSaysWhy(t *testing.T) {
	trouble := func([]string) string { return "the scaler for gpu: no credit" }
	b := open(t, Config{Scales: brings(50 * time.Millisecond), ScaleTrouble: trouble, LabelGrace: time.Millisecond})
	spec := specOf("f", "gpu")
	put(t, b, spec)
	_, err := b.Init(t.Context(), spec, function.Lease{ID: "l", TTL: anHour})
	wantCode(t, err, function.CodeNoCapacity)
	if !strings.Contains(err.Error(), "; the scaler for gpu: no credit") {
		t.Errorf("the error is %v", err)
	}
	m := join(t, b, newFake("m", 1, "gpu"))
	id, claim := lease(t, b, spec)
	m.end()
	<-m.done
	short := act("{}")
	short.Timeout = 20 * time.Millisecond
	if _, err := b.Run(t.Context(), id, claim, short, function.OutputFunc(discard)); function.CodeOf(err) != function.CodeTimeout || !strings.Contains(err.Error(), "no credit") {
		t.Errorf("the run ends with %v", err)
	}
}

func TestReconsiderRefusesWhatIsServedNoLonger(t *testing.T) {
	serves := make(chan bool, 1)
	serves <- true
	scales := func([]string, string) (time.Duration, bool) {
		select {
		case is := <-serves:
			return time.Minute, is
		default:
			return 0, false
		}
	}
	b := open(t, Config{Scales: scales})
	spec := specOf("f", "gpu")
	put(t, b, spec)
	done := make(chan error, 1)
	go func() {
		_, err := b.Init(context.Background(), spec, function.Lease{ID: "l", TTL: anHour})
		done <- err
	}()
	demanded(t, b, 1)
	b.Reconsider()
	wantCode(t, <-done, function.CodeNoCapacity)
}

func TestDemandNamesServersThatLackTheKind(t *testing.T) {
	b := open(t, Config{Scales: brings(time.Minute)})
	join(t, b, newFake("snake", 1, "gpu"))
	join(t, b, newFake("plain", 1))
	spec := specOf("f", "gpu")
	spec.Kind = "ruby:3"
	put(t, b, spec)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Init(ctx, spec, function.Lease{ID: "l", TTL: anHour})
	}()
	if d := demanded(t, b, 1); len(d.Lacking) != 1 || d.Lacking[0] != "snake" {
		t.Errorf("the demand is %+v", d)
	}
	cancel()
	<-done
}

// Who waits for a start, which may take minutes, is no reason for a further server.
func TestAStartUnderWayIsNoDemand(t *testing.T) {
	b := open(t, Config{Scales: brings(time.Minute)})
	hold := make(chan struct{})
	h := newFake("a", 1)
	h.holdInit = hold
	join(t, b, h)
	spec := specOf("hello")
	put(t, b, spec)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if _, err := b.Init(t.Context(), spec, function.Lease{ID: fmt.Sprint(i), TTL: anHour}); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, "the start and all who wait", func() bool { return h.inited() == 1 && b.waiting() == 3 })
	fleet := b.Fleet()
	if len(fleet.Demands) != 0 || fleet.Servers[0].Running != 1 {
		t.Errorf("%+v", fleet)
	}
	close(hold)
	wg.Wait()
}

// server returns what Fleet says of one.
func server(t *testing.T, b *Balancer, name string) scaler.Server {
	t.Helper()
	for _, s := range b.Fleet().Servers {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("the fleet has no server %s", name)
	return scaler.Server{}
}

func TestAlwaysTrue8DrainedServerEndsItsRunsAndGetsNone(t *testing.T) {
	b := open(t, Config{})
	first := newFake("first", 1, "gpu")
	entered, goOn := make(chan struct{}), make(chan struct{})
	first.onRun = func(*function.Activation) { entered <- struct{}{}; <-goOn }
	join(t, b, first)
	id, claim := lease(t, b, specOf("f", "gpu"))
	if s := server(t, b, "first"); s.Running != 0 || !s.Needed || s.Draining {
		t.Errorf("with a lease: %+v", s)
	}
	done := make(chan error, 1)
	go func() {
		_, err := b.Run(context.Background(), id, claim, act("{}"), function.OutputFunc(discard))
		done <- err
	}()
	<-entered
	if err := b.Cordon(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if s := server(t, b, "first"); s.Running != 1 || !s.Draining || s.Leaving || s.Needed || s.Runs != 1 {
		t.Errorf("drained, with a run: %+v", s)
	}
	second := newFake("second", 1, "gpu")
	join(t, b, second)
	first.set(func() {}) // it reports again, and knows nothing of the drain
	mustRun(t, b, id, claim, "{}")
	if second.ran() != 1 || first.ran() != 1 {
		t.Errorf("%d and %d runs", first.ran(), second.ran())
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("the run at the drained server: %v", err)
	}
	waitFor(t, "the drained server to be empty", func() bool { return server(t, b, "first").Running == 0 })
}

func TestUncordonEndsACordon(t *testing.T) {
	b := open(t, Config{})
	m := newFake("m", 1, "gpu")
	join(t, b, m)
	id, claim := lease(t, b, specOf("f", "gpu"))
	for range 2 {
		if err := b.Cordon(t.Context(), "m"); err != nil {
			t.Fatal(err)
		}
	}
	b.Uncordon("m")
	mustRun(t, b, id, claim, "{}")
	m.set(func() {
		m.status.Servers = []function.ServerStatus{fakeServer("m", 1, "gpu")}
		m.status.Servers[0].Draining = true
	})
	waitFor(t, "its own drain", func() bool { return server(t, b, "m").Leaving })
	b.Cordon(t.Context(), "m")
	b.Uncordon("m")
	if s := server(t, b, "m"); !s.Draining || !s.Leaving {
		t.Errorf("what it wants itself was taken back: %+v", s)
	}
	if err := b.Cordon(t.Context(), "nobody"); err == nil {
		t.Error("draining nobody is no error")
	}
}
