package balancer

import (
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/balancer/scaler"
	"github.com/whiskaway/whiskaway/function"
)

var _ scaler.Balancer = (*Balancer)(nil)

// An unmet is what waits for a server with the same labels and kind.
type unmet struct {
	labels  []string
	kind    string
	waiting int
}

// scaled is until when the waiter may wait for a server that a scaler starts for
// it; zero when none would be. It wants the lock.
func (b *Balancer) scaled(w *waiter, now time.Time) time.Time {
	if b.cfg.Scales == nil {
		return time.Time{}
	}
	wait, ok := b.cfg.Scales(w.f.spec.Require.Labels, w.f.spec.Kind)
	until := w.begin.Add(wait)
	if !ok || !now.Before(until) {
		return time.Time{}
	}
	if !w.f.scaled {
		w.f.scaled = true
		b.demanded.fire()
	}
	return until
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// unserved is how many of those who wait for f nothing is on its way for: a start that goes on answers
// all Inits, and as many runs as it brings slots. However long it takes, one more server would be no help to them.
// It wants the lock.
func (f *fn) unserved() int {
	if !f.starting() {
		return f.queue.Len() + f.asking.Len()
	}
	coming := 0
	for _, s := range f.place.Sites {
		if s.State == placement.Starting {
			coming += s.Slots
		}
	}
	return max(0, f.queue.Len()-coming)
}

// unmet is what waits for a server now, by class. It wants the lock.
func (b *Balancer) unmet() map[string]*unmet {
	all := map[string]*unmet{}
	for t := range b.hungry {
		for e := t.waiting.Front(); e != nil; e = e.Next() {
			f := e.Value.(*fn)
			n := f.unserved()
			if n == 0 {
				continue
			}
			u := all[f.key]
			if u == nil {
				u = &unmet{labels: f.spec.Require.Labels, kind: f.spec.Kind}
				all[f.key] = u
			}
			u.waiting += n
		}
	}
	return all
}

// withTrouble adds to a refusal why a scaler could not bring a server.
func (b *Balancer) withTrouble(err error, spec function.Spec) error {
	if b.cfg.ScaleTrouble == nil {
		return err
	}
	why := b.cfg.ScaleTrouble(spec.Require.Labels)
	if why == "" {
		return err
	}
	e := *function.AsError(err)
	e.Message += "; " + why
	return &e
}

// Demanded returns a channel that is closed when something waits for a server
// where nothing did, see scaler.Balancer.
func (b *Balancer) Demanded() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.demanded.wait()
}

// Reconsider makes what waits for a server look again whether that makes sense.
func (b *Balancer) Reconsider() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lookAgain()
}

// Fleet says what is there and what is lacking, for a scaler.
func (b *Balancer) Fleet() scaler.Fleet {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var fleet scaler.Fleet
	for _, m := range b.members {
		fleet.Servers = append(fleet.Servers, m.fleet(now)...)
	}
	for _, u := range b.unmet() {
		fleet.Demands = append(fleet.Demands, b.demand(u))
	}
	return fleet
}

// demand wants the lock.
func (b *Balancer) demand(u *unmet) scaler.Demand {
	d := scaler.Demand{Labels: u.labels, Kind: u.kind, Waiting: u.waiting}
	for _, m := range b.members {
		for _, s := range m.status.Servers {
			switch {
			case s.Draining || !hasLabels(s, u.labels):
			case hasKind(s, u.kind):
				d.Full = true
			default:
				d.Lacking = append(d.Lacking, s.Name)
			}
		}
	}
	return d
}

// fleet returns the member's servers. What we know of the member counts for each
// of them: a server that joins by itself is its member's only one. It wants the lock.
func (m *member) fleet(now time.Time) []scaler.Server {
	ours, needed := m.ours, false
	for _, h := range m.holders {
		if h.start != nil {
			ours++
		}
		needed = needed || h.State != placement.Cold && h.f.live(now) && h.only()
	}
	servers := make([]scaler.Server, len(m.status.Servers))
	for i, s := range m.status.Servers {
		itself, drained := m.drains[s.ID]
		servers[i] = scaler.Server{
			ID: s.ID, Name: s.Name, Labels: s.Labels, Draining: s.Draining, Leaving: s.Draining && (!drained || itself),
			Aside:   !m.host.Breaker.Allows(now),
			Running: max(s.Running, ours), Queued: s.Queued, Runs: m.dispatched, Needed: needed,
		}
	}
	for _, f := range m.status.Functions {
		i := slices.IndexFunc(servers, func(s scaler.Server) bool { return s.ID == f.Server })
		if i >= 0 {
			servers[i].Runs += f.Runs
		}
	}
	return servers
}

// only reports whether no other member that takes runs has the function.
func (h *holder) only() bool {
	return h.fits && !slices.ContainsFunc(h.f.holders, func(o *holder) bool { return o != h && o.fits && o.State != placement.Cold })
}
