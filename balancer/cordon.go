package balancer

import (
	"context"
	"fmt"
	"slices"

	"github.com/whiskaway/whiskaway/function"
)

// A cordon is the balancer's own: the server does not know of it, and goes on with what it has. So it can be taken
// back at once. A Drain is the server's, for all its balancers, and is for ever.

// Cordon makes that nothing more is placed on the server of that name or id, until
// Uncordon or until it connects anew. What is there goes on. It returns an error when no such
// server is connected.
func (b *Balancer) Cordon(_ context.Context, server string) error {
	if !b.mark(server, true) {
		return fmt.Errorf("cordoning server %s: it is not connected", server)
	}
	return nil
}

// Uncordon ends a Cordon. A server that drains by itself goes on with that.
func (b *Balancer) Uncordon(server string) { b.mark(server, false) }

// mark begins or ends the drain of a server, and reports whether it is there.
func (b *Balancer) mark(server string, drain bool) (found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.members {
		for _, s := range m.status.Servers {
			if s.ID == server || s.Name == server {
				found = true
				b.markAt(m, s, drain)
			}
		}
	}
	return found
}

// markAt changes a member's status as if the server had said so itself. It wants the lock.
func (b *Balancer) markAt(m *member, s function.ServerStatus, drain bool) {
	itself, drained := m.drains[s.ID]
	if drained == drain {
		return
	}
	before := m.status.Servers
	m.status.Servers = slices.Clone(before)
	i := slices.IndexFunc(before, func(o function.ServerStatus) bool { return o.ID == s.ID })
	if drain {
		m.drains[s.ID] = s.Draining
		m.status.Servers[i].Draining = true
	} else {
		delete(m.drains, s.ID)
		m.status.Servers[i].Draining = itself
	}
	b.offersChanged(m, before)
}

// overlay returns the report with what we drain marked in it. It wants the lock.
func (m *member) overlay(st function.Status) function.Status {
	if len(m.drains) == 0 {
		return st
	}
	st.Servers = slices.Clone(st.Servers)
	for i := range st.Servers {
		s := &st.Servers[i]
		if _, drained := m.drains[s.ID]; drained {
			m.drains[s.ID] = s.Draining
			s.Draining = true
		}
	}
	return st
}
