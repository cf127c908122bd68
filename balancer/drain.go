package balancer

import (
	"context"

	"github.com/whiskaway/whiskaway/function"
)

var _ function.MemberDrainer = (*Balancer)(nil)

// Drain empties the member with that id, see function.MemberDrainer. The member says in its
// status that it drains, and nothing is placed there from then on; functions that others
// still want are started elsewhere by their next run.
func (b *Balancer) Drain(ctx context.Context, id string) error {
	m, err := b.connected(id)
	if err != nil {
		return err
	}
	d, ok := m.Host.(function.Drainer)
	if !ok {
		return function.Errorf(function.CodeBadRequest, "%s cannot be drained from here; stop it as a program is stopped, by SIGTERM", m.Name)
	}
	b.log.Info("a server is drained by command", "server", m.Name, "id", m.ID)
	if err := d.Drain(ctx); err != nil {
		return function.AsError(err)
	}
	return nil
}

// connected returns the member with that id.
func (b *Balancer) connected(id string) (*member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := b.members[id]; m != nil {
		return m, nil
	}
	return nil, function.Errorf(function.CodeNoCapacity, "no server with the id %q is connected; whiskaway status --json lists the ids", id)
}
