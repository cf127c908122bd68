package openserverless

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A fakeHost is a Host with knobs. It keeps the rules of function.Host: code before
// Init, and a live lease before Run.
type fakeHost struct {
	// onInit and onRun may be replaced before the host is used.
	onInit func(ctx context.Context, spec function.Spec) error
	onRun  func(ctx context.Context, act *function.Activation, out function.Output) (function.Summary, error)

	mu      sync.Mutex
	codes   map[codeKey]string
	leases  map[claimKey]time.Time // until when
	inits   []function.Spec
	ran     []function.ID
	bodies  []string
	timeout time.Duration // of the last run
	stopped []claimKey
}

func newFakeHost() *fakeHost {
	h := &fakeHost{codes: map[codeKey]string{}, leases: map[claimKey]time.Time{}}
	h.onInit = func(context.Context, function.Spec) error { return nil }
	h.onRun = func(_ context.Context, act *function.Activation, out function.Output) (function.Summary, error) {
		body, err := act.Body.Bytes()
		if err != nil {
			return function.Summary{}, err
		}
		return okSummary, out.Write(function.Result, body)
	}
	return h
}

var okSummary = function.Summary{Outcome: function.OutcomeOK, Server: "box"}

func (h *fakeHost) PutCode(_ context.Context, namespace string, digest function.Digest, code io.Reader) error {
	data, err := io.ReadAll(code)
	if err != nil {
		return err
	}
	if function.DigestOf(data) != digest {
		return function.Errorf(function.CodeBadRequest, "wrong digest")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.codes[codeKey{namespace, digest}] = string(data)
	return nil
}

func (h *fakeHost) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	h.mu.Lock()
	_, ok := h.codes[codeKey{spec.Namespace, spec.Code}]
	h.mu.Unlock()
	if !ok {
		return function.ID{}, function.Errorf(function.CodeCodeMissing, "code first")
	}
	if err := h.onInit(ctx, spec); err != nil {
		return function.ID{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inits = append(h.inits, spec)
	h.leases[claimKey{spec.ID(), lease.ID}] = time.Now().Add(lease.TTL)
	return spec.ID(), nil
}

func (h *fakeHost) Run(ctx context.Context, id function.ID, by function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	if err := h.startRun(id, by, act); err != nil {
		return function.Summary{}, err
	}
	return h.onRun(ctx, act, out)
}

func (h *fakeHost) startRun(id function.ID, by function.Claim, act *function.Activation) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if by.Namespace != "ns" || !h.live(id, by) {
		return function.Errorf(function.CodeUnknownFunction, "init first")
	}
	body, err := act.Body.Bytes()
	h.ran = append(h.ran, id)
	h.bodies = append(h.bodies, string(body))
	h.timeout = act.Timeout
	return err
}

// live reports whether the lease has not ended. h.mu is held.
func (h *fakeHost) live(id function.ID, by function.Claim) bool {
	return h.leases[claimKey{id, by.Lease}].After(time.Now())
}

func (h *fakeHost) Renew(_ context.Context, id function.ID, by function.Claim, ttl time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.live(id, by) {
		return function.Errorf(function.CodeUnknownFunction, "no such lease")
	}
	h.leases[claimKey{id, by.Lease}] = time.Now().Add(ttl)
	return nil
}

func (h *fakeHost) Stop(_ context.Context, id function.ID, by function.Claim) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.leases, claimKey{id, by.Lease})
	h.stopped = append(h.stopped, claimKey{id, by.Lease})
	return nil
}

func (h *fakeHost) Watch(ctx context.Context, _ func(function.Status) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// forget drops all functions and, when asked, the code too, as a server that was
// restarted, or has no more room.
func (h *fakeHost) forget(codeToo bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.leases)
	if codeToo {
		clear(h.codes)
	}
}

// counts returns how many leases are live, and how many Inits have succeeded.
func (h *fakeHost) counts() (leases, inits int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, until := range h.leases {
		if until.After(time.Now()) {
			leases++
		}
	}
	return leases, len(h.inits)
}
