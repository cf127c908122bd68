package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/initbody"
)

// reviveLimit bounds how long a forgotten function may take to start again: the
// longest time limit that OpenWhisk has.
const reviveLimit = 5 * time.Minute

// A bound is the function that this runtime was initialised with, and the lease
// it holds on it.
type bound struct {
	host  function.Host
	spec  function.Spec
	lease function.Lease
	code  *initbody.Code
	log   *slog.Logger

	id   atomic.Pointer[function.ID] // a new pointer after each Init
	warm atomic.Bool                 // a run has succeeded

	// background counts the renewal and revivals; they end with life.
	background sync.WaitGroup
	life       context.Context

	mu      sync.Mutex
	closing bool
	revival *revival // the one under way, or nil
}

// A revival is one Init of a function that the host has forgotten, which
// several runs may wait for.
type revival struct {
	done chan struct{}
	err  error // set before done is closed
}

// claim is what a run shows to the host.
func (b *bound) claim() function.Claim { return function.Claim{Lease: b.lease.ID} }

// init makes the host ready, and hands it the code when it asks.
func (b *bound) init(ctx context.Context) error {
	id, err := function.InitWithCode(ctx, b.host, b.spec, b.lease, b.code.Open)
	if err == nil {
		b.id.Store(&id)
	}
	return err
}

// keepLease renews the lease until life ends.
func (b *bound) keepLease() {
	interval := b.lease.TTL / 3
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-b.life.Done():
			return
		case <-tick.C:
		}
		if err := b.renew(interval); err != nil && b.life.Err() == nil {
			b.log.Warn("renewing the lease", "function", b.spec.FullName(), "error", err)
		}
	}
}

// renew prolongs the lease. That the host has forgotten the function is no
// error here: the next run starts it again, and nobody needs it before.
func (b *bound) renew(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(b.life, patience)
	defer cancel()
	err := b.host.Renew(ctx, *b.id.Load(), b.claim(), b.lease.TTL)
	if function.CodeOf(err) == function.CodeUnknownFunction {
		return nil
	}
	return err
}

// revive starts a function again that the host has forgotten. However many runs
// ask at once, there is one Init; it goes on when the run that asked first has
// lost its patience. forgotten is the id that the host did not know.
func (b *bound) revive(ctx context.Context, forgotten *function.ID) error {
	r, err := b.joinRevival(forgotten)
	if err != nil || r == nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// joinRevival returns the revival under way, or begins one. It returns nil
// when there has been one since the forgotten id was read.
func (b *bound) joinRevival(forgotten *function.ID) (*revival, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closing:
		return nil, function.Errorf(function.CodeDraining, "the runtime is about to end")
	case b.id.Load() != forgotten:
		return nil, nil
	case b.revival == nil:
		b.log.Info("the host has forgotten the function; starting it again", "function", b.spec.FullName())
		b.revival = &revival{done: make(chan struct{})}
		b.background.Go(b.runRevival)
	}
	return b.revival, nil
}

func (b *bound) runRevival() {
	ctx, cancel := context.WithTimeout(b.life, reviveLimit)
	defer cancel()
	err := b.init(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revival.err = err
	close(b.revival.done)
	b.revival = nil
}

// run runs the function once. When the host has forgotten it, it is started
// again first. deadline is the time limit's end, or zero.
func (b *bound) run(ctx context.Context, act *function.Activation, deadline time.Time, out function.Output) (function.Summary, error) {
	id := b.id.Load()
	sum, err := b.host.Run(ctx, *id, b.claim(), act, out)
	if function.CodeOf(err) != function.CodeUnknownFunction {
		return sum, err
	}
	again := *act
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	if err := b.revive(ctx, id); err != nil {
		return sum, err
	}
	if !deadline.IsZero() {
		if again.Timeout = time.Until(deadline); again.Timeout <= 0 {
			return sum, context.DeadlineExceeded
		}
	}
	return b.host.Run(ctx, *b.id.Load(), b.claim(), &again, out)
}

// stop waits for what goes on in the background, which life's end has
// cancelled, and gives the lease back.
func (b *bound) stop(ctx context.Context) error {
	b.mu.Lock()
	b.closing = true
	b.mu.Unlock()
	b.background.Wait()
	if err := b.host.Stop(ctx, *b.id.Load(), b.claim()); err != nil {
		return fmt.Errorf("stopping %s: %w", b.spec.FullName(), err)
	}
	return nil
}
