package balancer

import (
	"context"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Retire takes nothing new from now on, refuses what waits, and waits for the runs in flight
// until ctx ends. Members stay connected. A start under way goes on at its member.
func (b *Balancer) Retire(ctx context.Context) error {
	b.mu.Lock()
	if !b.closing {
		b.closing = true
		for t := range b.hungry {
			for t.waiting.Len() > 0 {
				b.tellAll(t.waiting.Front().Value.(*fn), errClosing())
			}
		}
		b.changed.fire() // see Status
	}
	b.mu.Unlock()
	return b.awaitIdle(ctx)
}

func (b *Balancer) awaitIdle(ctx context.Context) error {
	for {
		b.mu.Lock()
		n, idle := b.inFlight, b.idle.wait()
		b.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("ending the balancer: %d runs were still in flight: %w", n, ctx.Err())
		}
	}
}

// errClosing says when to come again: a balancer that is told to stop is started anew as a rule, and until
// then its clients wait for it as for one that is away.
func errClosing() error {
	e := function.Errorf(function.CodeDraining, "this balancer is about to end, and takes nothing new")
	e.RetryAfter = time.Second
	return e
}
