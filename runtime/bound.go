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
	// patience is how long runs wait for a host that is away.
	patience time.Duration

	id   atomic.Pointer[function.ID] // a new pointer after each Init
	warm atomic.Bool                 // a run has succeeded
	beat atomic.Int64                // when keepLease was last seen alive: Unix time in ns
	away atomic.Int64                // since when the host cannot be reached, likewise; 0: it was reached

	// background counts the renewal, revivals and thaws; they end with life.
	background sync.WaitGroup
	life       context.Context

	mu      sync.Mutex
	closing bool
	revival *task // the Init of a forgotten function under way, or nil
	thawing *task // the renewal after a gap under way, or nil
}

// A task is what several runs may wait for.
type task struct {
	done chan struct{}
	err  error // set before done is closed
}

func newTask() *task { return &task{done: make(chan struct{})} }

func (t *task) end(err error) {
	t.err = err
	close(t.done)
}

func (t *task) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// claim is what a run shows to the host.
func (b *bound) claim() function.Claim { return function.Claim{Lease: b.lease.ID} }

// init makes the host ready, and hands it the code when it asks.
func (b *bound) init(ctx context.Context) error {
	id, err := function.InitWithCode(ctx, b.host, b.spec, b.lease, b.code.Open)
	b.reached(err)
	if err == nil {
		b.id.Store(&id)
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
	return r.wait(ctx)
}

// joinRevival returns the revival under way, or begins one. It returns nil
// when there has been one since the forgotten id was read.
func (b *bound) joinRevival(forgotten *function.ID) (*task, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closing:
		return nil, errEnding()
	case b.id.Load() != forgotten:
		return nil, nil
	case b.revival == nil:
		b.log.Info("the host has forgotten the function; starting it again", "function", b.spec.FullName())
		b.revival = newTask()
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
	b.revival.end(err)
	b.revival = nil
}

func errEnding() error {
	return function.Errorf(function.CodeDraining, "the runtime is about to end")
}

// stop gives the lease back, after what goes on in the background, which life's
// end has cancelled. ctx bounds both.
func (b *bound) stop(ctx context.Context) error {
	b.mu.Lock()
	b.closing = true
	b.mu.Unlock()
	quiet := make(chan struct{})
	go func() { // ends with the background
		b.background.Wait()
		close(quiet)
	}()
	select {
	case <-quiet:
	case <-ctx.Done(): // an Init that comes through now costs one lease, which ends by itself
	}
	if err := b.host.Stop(ctx, *b.id.Load(), b.claim()); err != nil {
		return fmt.Errorf("stopping %s: %w", b.spec.FullName(), err)
	}
	return nil
}
