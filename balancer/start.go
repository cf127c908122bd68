package balancer

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A holder is a member that has a function, or is starting it. Guarded.
type holder struct {
	f        *fn
	m        *member
	fits     bool   // a server there still fits the function
	slots    int    // see slotsOf
	inFlight int    // our runs of the function there
	lease    string // ours, for this start
	start    *start // nil: ready
	renewAt  time.Time
}

// A start is one Init in flight at a member. err may be read when done is closed.
type start struct {
	done chan struct{}
	err  error
}

// leaseTTL is how long our leases at members live without being renewed.
const leaseTTL = function.DefaultLeaseTTL

// startLimit ends a start that does not end by itself. Building an environment
// for a function may take minutes.
const startLimit = 10 * time.Minute

// widenPause is how long a function is not started on a further server after a
// start failed.
const widenPause = 5 * time.Second

// start begins to start f at c's member, which does not hold it. It wants the lock.
func (b *Balancer) start(f *fn, c fitting) *holder {
	h := &holder{f: f, m: c.m, fits: true, slots: slotsOf(c, f.spec.Require)}
	f.holders = append(f.holders, h)
	c.m.holders[f.id] = h
	b.begin(h)
	return h
}

// begin starts h's function, with a lease of its own. It wants the lock.
func (b *Balancer) begin(h *holder) {
	st := &start{done: make(chan struct{})}
	lease := function.NewLeaseID()
	h.start, h.lease = st, lease
	h.m.work.Go(func() {
		err := b.initAt(h.m, h.f, lease)
		if err != nil {
			b.log.Warn("start failed", "function", h.f.spec.FullName(), "member", h.m.Name, "code", function.CodeOf(err))
		}
		b.finish(h, st, err)
	})
}

// initAt makes m ready to run f, for as long as m is a member.
func (b *Balancer) initAt(m *member, f *fn, lease string) error {
	ctx, cancel := context.WithTimeout(m.ctx, startLimit)
	defer cancel()
	blob, err := b.code.Acquire(f.spec.Namespace, f.spec.Code)
	if err != nil {
		return function.AsError(err)
	}
	defer blob.Release()
	open := func() (io.ReadCloser, error) { return os.Open(blob.Path) }
	_, err = function.InitWithCode(ctx, m.Host, f.spec, function.Lease{ID: lease, TTL: leaseTTL}, open)
	switch {
	case err == nil:
		return nil
	case m.ctx.Err() != nil:
		return leftWhileStarting(m)
	case ctx.Err() != nil:
		return function.Errorf(function.CodeTimeout, "server %s did not start %s within %v", m.Name, f.spec.FullName(), startLimit)
	case function.CodeOf(err) == function.CodeCodeMissing: // it just had it, so it is full
		return function.Errorf(function.CodeBusy, "server %s could not keep the code of %s", m.Name, f.spec.FullName())
	}
	return function.AsError(err)
}

func leftWhileStarting(m *member) error {
	return function.Errorf(function.CodeUnreachable, "server %s left while it was starting the function", m.Name)
}

// finish ends a start.
func (b *Balancer) finish(h *holder, st *start, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st.err = err
	close(st.done)
	now := time.Now()
	if err != nil {
		h.f.widenAfter = now.Add(widenPause)
		b.drop(h)
		return
	}
	h.start = nil
	h.renewAt = now.Add(leaseTTL / 3)
	if !h.f.live(now) && len(h.f.leases) > 0 {
		h.f.graceEnd = now.Add(leaseTTL) // who asked for it has lost patience; the next one shall find it
	}
	h.m.wake()
	b.changed.fire()
}

// drop forgets that h's member holds the function. Dispatches that still point
// to h are released as always. It wants the lock.
func (b *Balancer) drop(h *holder) {
	if h.m.holders[h.f.id] != h {
		return
	}
	delete(h.m.holders, h.f.id)
	if i := slices.Index(h.f.holders, h); i >= 0 {
		h.f.holders = slices.Delete(h.f.holders, i, i+1)
	}
}

// refit looks again at whether the member's servers fit. It wants the lock.
func (h *holder) refit() {
	c, ok := fit(h.m, h.f.spec.Kind, h.f.spec.Require.Labels)
	h.fits = ok
	if ok {
		h.slots = slotsOf(c, h.f.spec.Require)
	}
}

// named says which server an error is from. What the function itself said when
// it could not be started is left as it is.
func named(m *member, err error) error {
	e := *function.AsError(err)
	if e.Code != function.CodeInitFailed {
		e.Message = m.says(e.Message)
	}
	return &e
}

// says puts the member's name before a message that does not begin with it.
func (m *member) says(message string) string {
	if strings.HasPrefix(message, "server "+m.Name) {
		return message
	}
	return fmt.Sprintf("server %s: %s", m.Name, message)
}
