package balancer

import (
	"container/list"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// A start is one Init in flight at a member.
type start struct{ found placement.Presence }

// leaseTTL is how long our leases at members live without being renewed.
const leaseTTL = function.DefaultLeaseTTL

// startLimit ends a start that does not end by itself. Building an environment
// for a function may take minutes.
const startLimit = 10 * time.Minute

// widenPause is how long a function is not started on a further server after a
// start failed.
const widenPause = 5 * time.Second

// start begins to start f at a member that does not have it, and reports whether it did. It wants the lock.
func (b *Balancer) start(f *fn, host *placement.Host, now time.Time) bool {
	m := b.classOf(f).fitting[host].m
	if m == nil {
		return false
	}
	h := holderAt(f, m)
	if h.State != placement.Cold {
		return false
	}
	b.charge(f, startCostOf(f, m, h.Present))
	host.Take(f.place.Need)
	b.begin(h, now)
	return true
}

// begin starts h's function, with a lease of its own. It wants the lock.
func (b *Balancer) begin(h *holder, now time.Time) {
	st := &start{found: h.Present}
	lease := function.NewLeaseID()
	h.State, h.Began, h.start, h.lease = placement.Starting, now, st, lease
	h.m.host.Starting++
	h.m.host.Breaker.Sent(now)
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

// finish ends a start, and serves those who waited for it.
func (b *Balancer) finish(h *holder, st *start, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	h.m.host.Starting--
	if h.start != st {
		return // the member has left; who waited is looked after
	}
	b.learnStart(h, st, err, now)
	f := h.f
	if err != nil {
		b.startFailed(h, err, now)
	} else {
		h.State, h.Present, h.start = placement.Ready, placement.Prepared, nil
		h.readyAt, h.UsedAt, h.renewAt = now, now, now.Add(leaseTTL/3)
		if !f.live(now) && len(f.leases) > 0 {
			f.graceEnd = now.Add(leaseTTL) // who asked for it has lost patience; the next one shall find it
		}
		h.m.wake()
	}
	b.serve(f, now)
	b.changed.fire()
}

// startFailed tells those who waited for the start. What another server may do better, they try
// there; what the function itself said, or nobody can mend, is their answer, unless it is being started
// elsewhere. It wants the lock.
func (b *Balancer) startFailed(h *holder, err error, now time.Time) {
	f := h.f
	f.widenAfter = now.Add(widenPause)
	h.cool()
	if f.ready() {
		return // it was to be one more
	}
	if !elsewhere(err) {
		if !f.starting() {
			b.tellAll(f, err)
		}
		return
	}
	named := named(h.m, err)
	for _, queue := range []*list.List{&f.queue, &f.asking} {
		for e := queue.Front(); e != nil; e = e.Next() {
			if w := e.Value.(*waiter); !b.pauses(w, now) {
				w.refused(h.m, named)
			}
		}
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
