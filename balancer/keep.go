package balancer

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

const (
	callsAtOnce = 16               // renewals and stops at one member
	callLimit   = 10 * time.Second // for one of them
	renewRetry  = 2 * time.Second  // after a renewal that did not get through
	busyRecheck = time.Second      // of a function nobody leases, with runs in flight
)

// A chore is one lease of ours to renew, or to end.
type chore struct {
	h     *holder
	lease string
	stop  bool
}

// keep renews our leases at m while clients have theirs, and ends them then.
func (b *Balancer) keep(m *member) {
	for {
		chores, next := b.chores(m, time.Now())
		b.doChores(m, chores)
		timer := time.NewTimer(time.Until(next))
		select {
		case <-m.ctx.Done():
			timer.Stop()
			return
		case <-m.kick:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// chores returns what is due now, and when to look again at the latest.
func (b *Balancer) chores(m *member, now time.Time) (due []chore, next time.Time) {
	next = now.Add(leaseTTL / 3)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range m.holders {
		if h.State != placement.Ready {
			continue // finish wakes us
		}
		check := h.renewAt
		switch live := h.f.live(now); {
		case !live && h.ours > 0:
			check = now.Add(busyRecheck)
		case !live || h.spare(now):
			due = append(due, chore{h: h, lease: h.lease, stop: true})
			h.cool()
			continue
		case !now.Before(h.renewAt):
			h.renewAt = now.Add(leaseTTL / 3)
			check = h.renewAt
			due = append(due, chore{h: h, lease: h.lease})
		}
		if end := h.f.liveUntil(); end.After(now) && end.Before(check) {
			check = end
		}
		if check.Before(next) {
			next = check
		}
	}
	return due, next
}

// spare reports whether placement can do without the function there. It is asked when the lease is due.
func (h *holder) spare(now time.Time) bool {
	return !now.Before(h.renewAt) && h.ours == 0 && placement.Spare(&h.f.place, now) == &h.Site
}

// callContext is for one short call to a member.
func callContext(m *member) (context.Context, context.CancelFunc) {
	return context.WithTimeout(m.ctx, callLimit)
}

func (b *Balancer) doChores(m *member, chores []chore) {
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	for _, c := range chores {
		calls.Go(func() error {
			b.doChore(m, c)
			return nil
		})
	}
	calls.Wait()
}

func (b *Balancer) doChore(m *member, c chore) {
	ctx, cancel := callContext(m)
	defer cancel()
	claim := function.Claim{Lease: c.lease, Namespace: c.h.f.spec.Namespace}
	if c.stop {
		if err := m.Host.Stop(ctx, c.h.f.id, claim); err != nil { // then the lease runs out there
			b.log.Info("stopping a function failed", "function", c.h.f.spec.FullName(), "member", m.Name, "code", function.CodeOf(err))
		}
		return
	}
	if err := m.Host.Renew(ctx, c.h.f.id, claim, leaseTTL); err != nil {
		b.notRenewed(c, err)
	}
}

// notRenewed forgets what the member has forgotten; the next run starts it again.
// When the call did not get through, it is tried again soon.
func (b *Balancer) notRenewed(c chore, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.h.lease != c.lease || c.h.State != placement.Ready {
		return // started anew meanwhile
	}
	if function.CodeOf(err) == function.CodeUnknownFunction {
		c.h.cool()
		b.serve(c.h.f, time.Now())
		return
	}
	c.h.renewAt = time.Now().Add(renewRetry)
}
