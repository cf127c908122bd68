package balancer

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// reportGap is the shortest time between two reports of Watch: at most ten a second.
const reportGap = 100 * time.Millisecond

// Watch reports the sum of the members' statuses, see function.Host.
func (b *Balancer) Watch(ctx context.Context, report func(function.Status) error) error {
	for {
		changed := b.onChange() // before looking, so that no change is missed
		if err := report(b.Status()); err != nil {
			return err
		}
		if err := b.sleep(ctx, reportGap, nil); err != nil {
			return err
		}
		if err := b.sleep(ctx, function.StatusInterval-reportGap, changed); err != nil {
			return err
		}
	}
}

func (b *Balancer) onChange() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed.wait()
}

// sleep waits for d, or until woken.
func (b *Balancer) sleep(ctx context.Context, d time.Duration, woken <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-woken:
	case <-ctx.Done():
		return function.AsError(ctx.Err())
	case <-b.ctx.Done():
		return errClosing()
	}
	return nil
}

// Status returns what the connected members last reported, sorted by name. The
// functions' Leases are those of the balancer's clients. While the balancer drains, so does
// each server as far as its clients can tell.
func (b *Balancer) Status() function.Status {
	reports, leases, draining := b.reports()
	st := function.Status{Servers: []function.ServerStatus{}, Functions: []function.FunctionStatus{}}
	for _, r := range reports {
		st.Servers = append(st.Servers, r.Servers...)
		st.Functions = append(st.Functions, r.Functions...)
	}
	for i := range st.Servers {
		st.Servers[i].Draining = st.Servers[i].Draining || draining
	}
	for i := range st.Functions {
		st.Functions[i].Leases = leases[st.Functions[i].ID]
	}
	slices.SortFunc(st.Servers, func(x, y function.ServerStatus) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID))
	})
	slices.SortFunc(st.Functions, func(x, y function.FunctionStatus) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Action, y.Action),
			slices.Compare(x.ID[:], y.ID[:]), cmp.Compare(x.Server, y.Server))
	})
	return st
}

// reports returns the members' last reports, and how many clients lease each
// function in them, and whether the balancer drains.
func (b *Balancer) reports() ([]function.Status, map[function.ID]int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	all := make([]function.Status, 0, len(b.members))
	leases := map[function.ID]int{}
	for _, m := range b.members {
		all = append(all, m.shown())
		for i := range m.status.Functions {
			id := m.status.Functions[i].ID
			if f := b.functions[id]; f != nil {
				leases[id] = f.countLeases(now)
			}
		}
	}
	return all, leases, b.closing
}

// shown is the member's last report, and in it whether we have set its servers aside. It wants the lock.
func (m *member) shown() function.Status {
	st := m.status
	if m.host.Breaker.RetryAt().IsZero() {
		return st
	}
	st.Servers = slices.Clone(st.Servers)
	for i := range st.Servers {
		st.Servers[i].Aside = true
	}
	return st
}
