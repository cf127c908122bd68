package runtime

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A fakeHost is a Host with knobs. It keeps the rules of function.Host: code
// before Init, Init before Run.
type fakeHost struct {
	// onInit and onRun may be replaced before the host is used.
	onInit func(ctx context.Context, spec function.Spec) error
	onRun  func(ctx context.Context, act *function.Activation, out function.Output) (function.Summary, error)

	mu      sync.Mutex
	codes   map[function.Digest][]byte
	leases  map[function.ID]string
	specs   []function.Spec
	runs    int // that started
	renewed []time.Duration
	stopped int
}

func newFakeHost() *fakeHost {
	h := &fakeHost{codes: map[function.Digest][]byte{}, leases: map[function.ID]string{}}
	h.onInit = func(context.Context, function.Spec) error { return nil }
	h.onRun = echo
	return h
}

// echo answers with the body it was given.
func echo(_ context.Context, act *function.Activation, out function.Output) (function.Summary, error) {
	body, err := act.Body.Bytes()
	if err != nil {
		return function.Summary{}, err
	}
	return okSummary(), out.Write(function.Result, body)
}

func okSummary() function.Summary {
	return function.Summary{Outcome: function.OutcomeOK, Server: "box",
		Stations: []function.Station{{Name: "function", Micros: 1500}, {Name: "server", Micros: 2001}}}
}

func (h *fakeHost) PutCode(_ context.Context, _ string, digest function.Digest, code io.Reader) error {
	data, err := io.ReadAll(code)
	if err != nil {
		return err
	}
	if function.DigestOf(data) != digest {
		return function.Errorf(function.CodeBadRequest, "wrong digest")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.codes[digest] = bytes.Clone(data)
	return nil
}

func (h *fakeHost) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	if err := h.startInit(spec); err != nil {
		return function.ID{}, err
	}
	if err := h.onInit(ctx, spec); err != nil {
		return function.ID{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leases[spec.ID()] = lease.ID
	return spec.ID(), nil
}

func (h *fakeHost) startInit(spec function.Spec) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.codes[spec.Code] == nil {
		return function.Errorf(function.CodeCodeMissing, "code first")
	}
	h.specs = append(h.specs, spec)
	return nil
}

func (h *fakeHost) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	if err := h.startRun(id, claim); err != nil {
		return function.Summary{}, err
	}
	return h.onRun(ctx, act, out)
}

func (h *fakeHost) startRun(id function.ID, claim function.Claim) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if lease, ok := h.leases[id]; !ok || lease != claim.Lease {
		return function.Errorf(function.CodeUnknownFunction, "init first")
	}
	h.runs++
	return nil
}

func (h *fakeHost) Renew(_ context.Context, id function.ID, claim function.Claim, ttl time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leases[id] != claim.Lease {
		return function.Errorf(function.CodeUnknownFunction, "no such lease")
	}
	h.renewed = append(h.renewed, ttl)
	return nil
}

func (h *fakeHost) Stop(_ context.Context, id function.ID, claim function.Claim) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leases[id] == claim.Lease {
		delete(h.leases, id)
		h.stopped++
	}
	return nil
}

func (h *fakeHost) Watch(ctx context.Context, _ func(function.Status) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// forget drops all functions and, when asked, the code too, as a server that
// was restarted with an empty disk.
func (h *fakeHost) forget(codeToo bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.leases)
	if codeToo {
		clear(h.codes)
	}
}

// grant makes the host know the function and the lease.
func (h *fakeHost) grant(id function.ID, lease string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leases[id] = lease
}

// counts returns the number of Inits that had their code, and of started runs.
func (h *fakeHost) counts() (inits, runs int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.specs), h.runs
}
