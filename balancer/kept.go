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

	// flapTime is how long a member must stay for its leaving to be no failure. A connection
	// that breaks so soon after it was made will break again.
	flapTime = 10 * time.Second
)

// hostOf makes placement's record of a member, from what was learned when it was last here. It wants the lock.
func (b *Balancer) hostOf(id string) *placement.Host {
	h := &placement.Host{}
	if k, ok := b.kept[id]; ok {
		*h = k.host
		h.Load, h.Starting, h.Full = 0, 0, false // those were the old connection's
		h.Memory, h.GPUs = placement.Room{}, nil
		delete(b.kept, id)
	}
	h.Seed = seedOf(id)
	h.Breaker.Seed = h.Seed
	return h
}

// keepHost keeps what was learned of a member that leaves. One that stayed for a while begins
// anew with a closed breaker: it has just proved that it can be reached. It wants the lock.
func (b *Balancer) keepHost(m *member, now time.Time) {
	if m.reports > 0 && now.Sub(m.since) < flapTime {
		b.failed(m, m.since, now)
	} else {
		m.host.Breaker = placement.Breaker{}
	}
	for id, k := range b.kept {
		if now.Sub(k.at) > keepFor {
			delete(b.kept, id)
		}
	}
	if len(b.kept) < keepMost {
		b.kept[m.ID] = kept{host: *m.host, at: now}
	}
}
