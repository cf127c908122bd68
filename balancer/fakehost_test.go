package balancer

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A fakeHost is a member that runs nothing: it keeps the books of a server, and
// fails as the test tells it to.
type fakeHost struct {
	name   string
	cut    context.Context // when it ends, Watch fails
	cutNow context.CancelFunc

	mu      sync.Mutex
	status  function.Status
	changed chan struct{}
	silent  bool // Watch reports nothing any more
	code    map[function.Digest]bool
	leases  map[function.ID]map[string]time.Time
	inits   int
	puts    int
	renews  int
	stops   int
	runs    []string // bodies of the runs that started

	initErr  func(ctx context.Context) error     // before anything else in Init
	runErr   func(n int) error                   // the n-th call of Run is refused
	onRun    func(act *function.Activation)      // while the run is in flight
	summary  func(body string) *function.Summary // nil: ok
	renewErr func() error
	holdInit chan struct{} // Init waits until it is closed
}

func newFake(name string, cpus int, labels ...string) *fakeHost {
	h := &fakeHost{name: name, changed: make(chan struct{}), code: map[function.Digest]bool{}, leases: map[function.ID]map[string]time.Time{}}
	h.cut, h.cutNow = context.WithCancel(context.Background())
	h.status.Servers = []function.ServerStatus{fakeServer(name, cpus, labels...)}
	return h
}

func fakeServer(name string, cpus int, labels ...string) function.ServerStatus {
	return function.ServerStatus{ID: name, Name: name, CPUs: cpus, Labels: labels, Kinds: []function.Kind{{Name: "python:3"}}}
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
	h.puts++
	h.code[digest] = true
	return nil
}

func (h *fakeHost) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	h.mu.Lock()
	fail, hold, has := h.initErr, h.holdInit, h.code[spec.Code]
	h.mu.Unlock()
	if fail != nil {
		if err := fail(ctx); err != nil {
			return function.ID{}, err
		}
	}
	if !has {
		return function.ID{}, function.Errorf(function.CodeCodeMissing, "code missing")
	}
	h.mu.Lock()
	h.inits++
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return function.ID{}, function.AsError(ctx.Err())
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leases[spec.ID()] == nil {
		h.leases[spec.ID()] = map[string]time.Time{}
	}
	h.leases[spec.ID()][lease.ID] = time.Now().Add(lease.TTL)
	return spec.ID(), nil
}

func (h *fakeHost) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	h.mu.Lock()
	end, ok := h.leases[id][claim.Lease]
	var err error
	if h.runErr != nil {
		err = h.runErr(len(h.runs))
	}
	if err == nil && (!ok || !time.Now().Before(end)) {
		err = function.Errorf(function.CodeUnknownFunction, "no such function")
	}
	if err != nil {
		h.mu.Unlock()
		return function.Summary{}, err
	}
	data, _ := act.Body.Bytes()
	body := string(data)
	h.runs = append(h.runs, body)
	on, summary := h.onRun, h.summary
	h.mu.Unlock()
	if on != nil {
		on(act)
	}
	if summary != nil {
		if s := summary(body); s != nil {
			return *s, nil
		}
	}
	if err := out.Write(function.Result, data); err != nil {
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}
	return function.Summary{Outcome: function.OutcomeOK, Server: h.name}, nil
}

func (h *fakeHost) Renew(_ context.Context, id function.ID, claim function.Claim, ttl time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id == (function.ID{}) { // the balancer measures the way to us
		return function.Errorf(function.CodeUnknownFunction, "no such function")
	}
	h.renews++
	if h.renewErr != nil {
		if err := h.renewErr(); err != nil {
			return err
		}
	}
	if end, ok := h.leases[id][claim.Lease]; !ok || !time.Now().Before(end) {
		return function.Errorf(function.CodeUnknownFunction, "no such lease")
	}
	h.leases[id][claim.Lease] = time.Now().Add(ttl)
	return nil
}

func (h *fakeHost) Stop(_ context.Context, id function.ID, claim function.Claim) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stops++
	delete(h.leases[id], claim.Lease)
	return nil
}

func (h *fakeHost) Watch(ctx context.Context, report func(function.Status) error) error {
	tick := time.NewTicker(function.StatusInterval)
	defer tick.Stop()
	for {
		h.mu.Lock()
		st, changed, silent := h.status, h.changed, h.silent
		h.mu.Unlock()
		if !silent {
			if err := report(st); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.cut.Done():
			return function.Errorf(function.CodeUnreachable, "the connection broke")
		case <-changed:
		case <-tick.C:
		}
	}
}

// set changes the knobs, or the status, which is then reported.
func (h *fakeHost) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.changed)
	h.changed = make(chan struct{})
}

// get reads something of the host's books.
func (h *fakeHost) get(read func() int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return read()
}

func (h *fakeHost) ran() int     { return h.get(func() int { return len(h.runs) }) }
func (h *fakeHost) inited() int  { return h.get(func() int { return h.inits }) }
func (h *fakeHost) stopped() int { return h.get(func() int { return h.stops }) }
func (h *fakeHost) liveLeases(id function.ID) int {
	return h.get(func() (n int) {
		for _, end := range h.leases[id] {
			if time.Now().Before(end) {
				n++
			}
		}
		return n
	})
}

// A joined is a fake that is a member, and the way to end that.
type joined struct {
	*fakeHost
	end  context.CancelFunc
	done chan error
}

// join makes the fake a member, and waits for its first report.
func join(t testing.TB, b *Balancer, h *fakeHost) *joined {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	j := &joined{fakeHost: h, end: cancel, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		j.done <- b.Join(ctx, Member{ID: h.name, Name: h.name, Host: h})
		close(ended)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	waitFor(t, h.name+" to be placeable", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		m := b.members[h.name]
		return m != nil && m.Host == function.Host(h) && m.reports > 0
	})
	return j
}

// waitFor waits for an event, with a deadline.
func waitFor(t testing.TB, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
