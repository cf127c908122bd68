package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// A kept is what was learned of a member that left, so that it need not be learned again.
type kept struct {
	host placement.Host
	at   time.Time // when it left
}

const (
	keepFor  = time.Hour // what was learned of a member that does not come back
	keepMost = 10_000    // such members, at most

	// steadyAfter is how long a member must stay to begin anew when it comes again: its connection has proved to
	// be good. Else what it failed at counts on.
	steadyAfter = 10 * time.Second
)

// hostOf makes placement's record of a member, from what was learned when it was last here. It wants the lock.
func (b *Balancer) hostOf(id string, now time.Time) *placement.Host {
	h := &placement.Host{}
	if k, ok := b.kept[id]; ok {
		*h = k.host
		h.Load, h.Starting, h.Full = 0, 0, false // those were the old connection's
		h.Memory, h.GPUs = placement.Room{}, nil
		delete(b.kept, id)
	}
	h.Seed = seedOf(id)
	h.Breaker.Seed = h.Seed
	h.Breaker.Back(now)
	return h
}

// keepHost keeps what was learned of a member that leaves. It wants the lock.
func (b *Balancer) keepHost(m *member, now time.Time) {
	b.learnLeave(m, now)
	for id, k := range b.kept {
		if now.Sub(k.at) > keepFor {
			delete(b.kept, id)
		}
	}
	if len(b.kept) < keepMost {
		b.kept[m.ID] = kept{host: *m.host, at: now}
	}
}

// learnLeave tells the member's breaker that it leaves. One that said so before begins anew when
// it comes again. It wants the lock.
func (b *Balancer) learnLeave(m *member, now time.Time) {
	breaker := &m.host.Breaker
	if m.drained() {
		*breaker = placement.Breaker{}
		return
	}
	if now.Sub(m.since) >= steadyAfter {
		breaker.Forgive()
	}
	known := breaker.Flapping()
	if breaker.Left(now); breaker.Flapping() && !known {
		b.log.Warn("a member comes and goes; it is set aside until it has stayed for a while", "member", m.Name)
	}
}

// drained reports whether the member has said that it is about to end. It wants the lock.
func (m *member) drained() bool {
	for _, s := range m.status.Servers {
		if !s.Draining {
			return false
		}
	}
	return len(m.status.Servers) > 0
}
