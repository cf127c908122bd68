package balancer

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

func open(t testing.TB, cfg Config) *Balancer {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
		checkReleased(t, b)
	})
	return b
}

// checkReleased proves that nothing is counted as in flight or waiting any more.
func checkReleased(t testing.TB, b *Balancer) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight != 0 || b.waiters != 0 {
		t.Errorf("%d runs in flight and %d waiters after the end", b.inFlight, b.waiters)
	}
	if len(b.hungry) != 0 || len(b.wakes) != 0 {
		t.Errorf("%d tenants and %d functions wait after the end", len(b.hungry), len(b.wakes))
	}
	for _, f := range b.functions {
		for _, h := range f.holders {
			t.Errorf("%s is still held at %s after the end, %d in flight", f.spec.FullName(), h.m.Name, h.ours)
		}
		if f.queue.Len()+f.asking.Len() != 0 || f.turn != nil || f.wakeIndex >= 0 {
			t.Errorf("%s: %d runs and %d Inits wait after the end", f.spec.FullName(), f.queue.Len(), f.asking.Len())
		}
		if f.inits != 0 {
			t.Errorf("%s: %d Inits in progress after the end", f.spec.FullName(), f.inits)
		}
	}
}

func specOf(action string, labels ...string) function.Spec {
	return function.Spec{
		Namespace: "guest", Action: action, Kind: "python:3", Main: "main",
		Code: function.DigestOf([]byte("code of " + action)), Require: function.Requirements{Labels: labels},
	}
}

func put(t testing.TB, h function.Host, spec function.Spec) {
	t.Helper()
	if err := h.PutCode(t.Context(), spec.Namespace, spec.Code, bytes.NewReader([]byte("code of "+spec.Action))); err != nil {
		t.Fatal(err)
	}
}

const anHour = time.Hour

// lease inits the function and returns its ID and a claim on it.
func lease(t testing.TB, h function.Host, spec function.Spec) (function.ID, function.Claim) {
	t.Helper()
	put(t, h, spec)
	l := function.Lease{ID: function.NewLeaseID(), TTL: anHour}
	id, err := h.Init(t.Context(), spec, l)
	if err != nil {
		t.Fatal(err)
	}
	return id, function.Claim{Lease: l.ID, Namespace: spec.Namespace}
}

func discard(function.Stream, []byte) error { return nil }

func act(body string) *function.Activation {
	return &function.Activation{Body: function.BytesBody([]byte(body)), Timeout: time.Minute}
}

func run(t testing.TB, h function.Host, id function.ID, claim function.Claim, body string) (function.Summary, error) {
	return h.Run(t.Context(), id, claim, act(body), function.OutputFunc(discard))
}

// mustRun runs, and wants the outcome ok.
func mustRun(t testing.TB, h function.Host, id function.ID, claim function.Claim, body string) function.Summary {
	t.Helper()
	sum, err := run(t, h, id, claim, body)
	if err != nil || sum.Outcome != function.OutcomeOK {
		t.Fatalf("run: %+v, %v", sum, err)
	}
	return sum
}

func wantCode(t testing.TB, err error, code function.Code) {
	t.Helper()
	if function.CodeOf(err) != code {
		t.Fatalf("the error is %q (%v), want %q", function.CodeOf(err), err, code)
	}
}

// waiting is how many runs and Inits wait.
func (b *Balancer) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiters
}

// functionSites are the servers where the function is ready.
func (b *Balancer) functionSites(id function.ID) (names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.functions[id].holders {
		if h.State == placement.Ready {
			names = append(names, h.m.Name)
		}
	}
	return names
}
