package controller

import (
	"context"
	"sync"
)

// A gate counts the callers who wait for an activation's end, and lets nobody in once it is
// closed.
type gate struct {
	mu      sync.Mutex
	inside  int
	closed  bool
	waiting chan struct{} // closed when the last has left a closed gate; nil: nobody asked
}

// enter lets somebody in, or says that the platform stops.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errStopping
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.waiting != nil {
		close(g.waiting)
		g.waiting = nil
	}
}

// empty closes the gate and waits until all have left, or ctx ends. It returns how many
// are inside.
func (g *gate) empty(ctx context.Context) int {
	g.mu.Lock()
	g.closed = true
	if g.inside == 0 {
		g.mu.Unlock()
		return 0
	}
	if g.waiting == nil {
		g.waiting = make(chan struct{})
	}
	waiting := g.waiting
	g.mu.Unlock()
	select {
	case <-waiting:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}

// Callers returns how many wait for an activation's end, or are about to be answered.
func (c *Controller) Callers() int {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.gate.inside
}

// Drain takes no new invocations and firings, and waits until those who wait for the end
// of one have been answered, or ctx ends. What runs for them may go on to invoke others. It returns
// how many still wait.
func (c *Controller) Drain(ctx context.Context) int { return c.gate.empty(ctx) }
