package invoker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// This file is the pool's way with containers from their start to their end;
// pool.go is about who gets which.

// killWithin bounds how long the end of a container may take.
const killWithin = 30 * time.Second

// streamsWithin is how long a dead container's streams may stay open.
const streamsWithin = 2 * time.Second

func (p *pool) start(ctx context.Context, w want, b base, logLimit int) (*container, error) {
	p.mu.Lock()
	p.names++
	name := fmt.Sprintf("whiskaway-%d", p.names)
	p.mu.Unlock()
	running, err := p.driver.Start(ctx, Spec{
		Name: name, Kind: b.kind, Image: b.image, Memory: w.memory,
		Namespace: w.key.namespace, Action: w.key.action,
	})
	if err != nil {
		return nil, err
	}
	c := &container{Container: running, key: w.key, memory: w.memory, http: client{addr: running.Addr()}}
	stdout, stderr := running.Logs()
	c.logs = newLogBook(stdout, stderr, logLimit)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy[c] = true
	return c, nil
}

// destroy ends a container that must not be used again. It does not wait.
func (p *pool) destroy(c *container) {
	p.tasks.Go(func() {
		p.kill(c)
		p.mu.Lock()
		delete(p.busy, c)
		p.mu.Unlock()
		p.giveBack(c.memory)
	})
}

func (p *pool) kill(c *container) {
	ctx, cancel := context.WithTimeout(context.Background(), killWithin)
	defer cancel()
	c.http.close()
	if err := c.Kill(ctx); err != nil {
		p.log.Error("a container could not be removed", "action", c.key.action, "error", err)
	}
	c.logs.close(streamsWithin)
}

func (p *pool) killAll(list []*container) {
	var all sync.WaitGroup
	for _, c := range list {
		all.Go(func() { p.kill(c) })
	}
	all.Wait()
}

// reap removes containers that have been idle for long enough, down to none.
func (p *pool) reap() {
	ticker := time.NewTicker(max(min(p.idle/4, 10*time.Second), time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-ticker.C:
			for _, c := range p.expired(now) {
				p.log.Debug("removing an idle container", "action", c.key.action)
				p.destroy(c)
			}
		}
	}
}

// expired moves the containers whose time is over from the spare to the busy ones.
func (p *pool) expired(now time.Time) (list []*container) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropDead()
	p.spares = slices.DeleteFunc(p.spares, func(c *container) bool {
		if now.Sub(c.since) < p.idle {
			return false
		}
		p.busy[c] = true
		list = append(list, c)
		return true
	})
	return list
}

// close refuses those who wait, and ends the idle containers. The busy ones
// must have been released or destroyed before.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	waiters, spares := p.waiters, p.spares
	p.waiters, p.spares = nil, nil
	p.mu.Unlock()
	for _, w := range waiters {
		w.granted <- granted{err: errClosed}
	}
	close(p.stop)
	p.killAll(spares)
	p.tasks.Wait()
}
