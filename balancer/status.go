package balancer

import (
	"cmp"
	"container/list"
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

// Status returns what the connected members last reported, sorted by name, which of them are
// set aside, and what waits here. The functions' Leases are those of the balancer's clients. While
// the balancer drains, so does each server as far as its clients can tell.
func (b *Balancer) Status() function.Status {
	all := b.reports()
	st := function.Status{Servers: []function.ServerStatus{}, Functions: []function.FunctionStatus{}, Waiting: all.waiting}
	for _, r := range all.reports {
		before := len(st.Servers)
		st.Servers = append(st.Servers, r.Servers...)
		for i := range st.Servers[before:] {
			s := &st.Servers[before+i]
			s.Draining = s.Draining || all.draining
			s.Aside = s.Aside || r.aside
		}
		st.Functions = append(st.Functions, r.Functions...)
		st.Waiting = append(st.Waiting, r.Waiting...)
	}
	for i := range st.Functions {
		st.Functions[i].Leases = all.leases[st.Functions[i].ID]
	}
	sortStatus(&st)
	return st
}

func sortStatus(st *function.Status) {
	slices.SortFunc(st.Servers, func(x, y function.ServerStatus) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID))
	})
	slices.SortFunc(st.Functions, func(x, y function.FunctionStatus) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Action, y.Action),
			slices.Compare(x.ID[:], y.ID[:]), cmp.Compare(x.Server, y.Server))
	})
	slices.SortFunc(st.Waiting, func(x, y function.WaitingStatus) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Action, y.Action), slices.Compare(x.ID[:], y.ID[:]))
	})
}

// A memberReport is what a member last reported, and whether it is set aside.
type memberReport struct {
	function.Status
	aside bool
}

// allReports is what a status is made of.
type allReports struct {
	reports  []memberReport
	leases   map[function.ID]int // how many clients lease each function in the reports
	waiting  []function.WaitingStatus
	draining bool // the balancer itself
}

func (b *Balancer) reports() allReports {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	all := allReports{leases: map[function.ID]int{}, waiting: b.whoWaits(now), draining: b.closing}
	for _, m := range b.members {
		all.reports = append(all.reports, memberReport{m.status, !m.host.Breaker.RetryAt().IsZero()})
		for i := range m.status.Functions {
			id := m.status.Functions[i].ID
			if f := b.functions[id]; f != nil {
				all.leases[id] = f.countLeases(now)
			}
		}
	}
	return all
}

// whoWaits says what waits here, and for how long. It wants the lock.
func (b *Balancer) whoWaits(now time.Time) []function.WaitingStatus {
	var all []function.WaitingStatus
	for t := range b.hungry {
		for e := t.waiting.Front(); e != nil; e = e.Next() {
			f := e.Value.(*fn)
			w := function.WaitingStatus{
				ID: f.id, Namespace: f.spec.Namespace, Action: f.spec.Action, Labels: f.spec.Require.Labels,
				Runs: f.queue.Len(), Starts: f.asking.Len(),
			}
			for _, queue := range []*list.List{&f.queue, &f.asking} {
				if first := queue.Front(); first != nil {
					w.Longest = max(w.Longest, now.Sub(first.Value.(*waiter).since).Milliseconds())
				}
			}
			all = append(all, w)
		}
	}
	return all
}
