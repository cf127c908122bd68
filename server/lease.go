package server

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Renew implements function.Host.
func (s *Server) Renew(ctx context.Context, id function.ID, claim function.Claim, ttl time.Duration) error {
	e := &renewal{id: id, claim: claim, ttl: ttl, reply: make(chan bool, 1)}
	known, err := ask(ctx, s.owner, e, e.reply)
	if err == nil && !known {
		return errUnknown()
	}
	return err
}

// Stop implements function.Host.
func (s *Server) Stop(ctx context.Context, id function.ID, claim function.Claim) error {
	e := &stop{id: id, claim: claim, reply: make(chan bool, 1)}
	_, err := ask(ctx, s.owner, e, e.reply)
	if function.CodeOf(err) == function.CodeDraining {
		return nil // it ends with us
	}
	return err
}

// ask sends an event that has nothing to take back, and waits for its reply.
func ask[T any](ctx context.Context, o *owner, e event, reply <-chan T) (T, error) {
	var none T
	if !o.send(e) {
		return none, errDraining()
	}
	select {
	case r := <-reply:
		return r, nil
	case <-o.done:
		return none, errDraining()
	case <-ctx.Done():
		return none, function.AsError(ctx.Err())
	}
}

// A renewal asks for a lease to be prolonged.
type renewal struct {
	id    function.ID
	claim function.Claim
	ttl   time.Duration
	reply chan bool // whether the lease was live
}

func (e *renewal) apply(o *owner) {
	o.quiet = true
	f := o.functions[e.id]
	live := f != nil && f.leased(e.claim, o.now)
	if live {
		f.grant(function.Lease{ID: e.claim.Lease, TTL: e.ttl}, o.now)
		o.schedule(f, f.leases[e.claim.Lease]) // it may end sooner than before
	}
	e.reply <- live
}

// A stop ends a lease.
type stop struct {
	id    function.ID
	claim function.Claim
	reply chan bool
}

func (e *stop) apply(o *owner) {
	if f := o.functions[e.id]; f != nil && e.claim.Covers(f.spec.Namespace) {
		f.endLease(e.claim.Lease, o.now, o.leaseGrace)
		o.consider(f)
	}
	e.reply <- true
}
