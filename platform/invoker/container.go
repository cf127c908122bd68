package invoker

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// resumeWithin bounds how long a container may take to wake up or to fall asleep.
const resumeWithin = 10 * time.Second

// A container is a Container in the pool, with what the invoker keeps beside it.
type container struct {
	Container
	box     *box
	logs    *logBook
	byRun   bool          // its lines say whose they are
	removed chan struct{} // closed when it was killed

	asleep sync.Mutex // held while it is being paused or woken; guards the two below
	paused bool
	spoilt error // pausing went wrong: nobody knows what state it is in

	mu      sync.Mutex
	closed  bool
	clients []*client // those that nobody uses
}

// awake returns when a container that may be paused is not.
func (c *container) awake(ctx context.Context) error {
	c.asleep.Lock()
	defer c.asleep.Unlock()
	if c.spoilt != nil || !c.paused {
		return c.spoilt
	}
	ctx, cancel := context.WithTimeout(ctx, resumeWithin)
	defer cancel()
	if err := c.Resume(ctx); err != nil {
		c.spoilt = fmt.Errorf("waking up a container: %w", err)
		return c.spoilt
	}
	c.paused = false
	return nil
}

// sleep pauses an idle container. wanted is asked when nobody can wake it up in between.
func (c *container) sleep(ctx context.Context, wanted func() bool) error {
	c.asleep.Lock()
	defer c.asleep.Unlock()
	if c.paused || c.spoilt != nil || !wanted() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resumeWithin)
	defer cancel()
	if err := c.Pause(ctx); err != nil {
		c.spoilt = fmt.Errorf("pausing a container: %w", err)
		return c.spoilt
	}
	c.paused = true
	return nil
}

// client returns a client that nobody else uses. It comes back by putClient.
func (c *container) client() *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := len(c.clients) - 1; last >= 0 {
		cl := c.clients[last]
		c.clients = c.clients[:last]
		return cl
	}
	cl := &client{addr: c.Addr()}
	if keyed, ok := c.Container.(Keyed); ok && keyed.Key() != "" {
		cl.header = HeaderKey + ": " + keyed.Key() + "\r\n"
	}
	return cl
}

func (c *container) putClient(cl *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		cl.close()
		return
	}
	c.clients = append(c.clients, cl)
}

// hangUp closes the connections that nobody uses, now and later.
func (c *container) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cl := range c.clients {
		cl.close()
	}
	c.clients = nil
}
