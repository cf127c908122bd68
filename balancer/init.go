package balancer

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// maxTTL bounds what a client may ask for, so that one that vanishes does not
// hold a function for ever.
const maxTTL = time.Hour

// Init makes a member ready to run the function, see function.Host. When some
// member has it already, only the lease is granted.
func (b *Balancer) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	if err := spec.Check(); err != nil {
		return function.ID{}, function.AsError(err)
	}
	if lease.ID == "" {
		return function.ID{}, function.Errorf(function.CodeBadRequest, "the lease has no id")
	}
	if err := b.awaitCode(ctx, spec); err != nil {
		return function.ID{}, err
	}
	f, err := b.beginInit(spec, lease)
	if err != nil {
		return function.ID{}, err
	}
	q := request{f: f, init: true, begin: time.Now()}
	_, err = b.dispatch(ctx, &q)
	b.endInit(f, lease, err, ctx.Err() != nil)
	if err != nil {
		return function.ID{}, err
	}
	return f.id, nil
}

// awaitCode waits for code that another client of the namespace is sending, until
// ctx or the balancer ends.
func (b *Balancer) awaitCode(ctx context.Context, spec function.Spec) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	err := b.code.Await(ctx, spec.Namespace, spec.Code)
	if err != nil && b.ctx.Err() != nil {
		return errClosing()
	}
	return err
}

// beginInit grants the lease already, so that a start which outlives the
// caller's patience has somebody to belong to.
func (b *Balancer) beginInit(spec function.Spec, lease function.Lease) (*fn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return nil, errClosing()
	}
	now := time.Now()
	f, err := b.known(spec, now)
	if err != nil {
		return nil, err
	}
	if err := f.lease(lease.ID, leaseEnd(now, lease.TTL), now); err != nil {
		return nil, err
	}
	f.inits++
	b.recent.MoveToFront(f.recent)
	return f, nil
}

// endInit counts the lease from now on, as a start may have taken long, or takes
// it back when the function could not be started. Who just left keeps it.
func (b *Balancer) endInit(f *fn, lease function.Lease, err error, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.inits--
	now := time.Now()
	switch {
	case err == nil:
		f.lease(lease.ID, leaseEnd(now, lease.TTL), now) // fits, as it was granted before
	case !left:
		f.unlease(lease.ID, now)
	}
	b.wakeHolders(f)
	b.changed.fire()
}

func leaseEnd(now time.Time, ttl time.Duration) time.Time {
	if ttl <= 0 {
		ttl = function.DefaultLeaseTTL
	}
	return now.Add(min(ttl, maxTTL))
}

// Renew prolongs a client's lease, see function.Host.
func (b *Balancer) Renew(_ context.Context, id function.ID, claim function.Claim, ttl time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	f := b.functions[id]
	if f == nil || !f.leased(claim, now) {
		return errUnknown()
	}
	b.recent.MoveToFront(f.recent)
	return f.lease(claim.Lease, leaseEnd(now, ttl), now)
}

// Stop ends a client's lease, see function.Host. With the last one, the
// function is stopped at the members, after this call.
func (b *Balancer) Stop(_ context.Context, id function.ID, claim function.Claim) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	f := b.functions[id]
	if f == nil || !f.leased(claim, now) {
		return nil
	}
	f.unlease(claim.Lease, now)
	b.wakeHolders(f)
	b.changed.fire()
	return nil
}

// wakeHolders makes the keepers see that f's leases have changed. It wants the lock.
func (b *Balancer) wakeHolders(f *fn) {
	for _, h := range f.holders {
		h.m.wake()
	}
}

// errUnknown is the same for what nobody knows, a lease that is over, and a
// foreign namespace.
func errUnknown() error {
	return function.Errorf(function.CodeUnknownFunction, "no live lease on such a function here; Init it first")
}
