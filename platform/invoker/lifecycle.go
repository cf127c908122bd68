package invoker

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// This file is the pool's way with containers from their start to their end;
// pool.go is about who gets which.

// killWithin bounds how long the end of a container may take.
const killWithin = 30 * time.Second

// streamsWithin is how long a dead container's streams may stay open.
const streamsWithin = 2 * time.Second

// start starts the container of a box that has an action.
func (p *pool) start(ctx context.Context, b *box, k key) (*container, error) {
	c, err := p.launch(ctx, b, k)
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		reason := err
		if ctx.Err() != nil {
			reason = nil
		}
		p.plan.startFailed(b, reason, now)
		p.carryOut()
		return nil, err
	}
	b.c = c
	p.watch(c)
	return c, nil
}

// startStem starts a container in advance.
func (p *pool) startStem(b *box) {
	c, err := p.launch(p.life, b, key{})
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && p.life.Err() != nil:
		p.plan.startFailed(b, nil, now)
	case err != nil:
		p.log.Error("a container could not be started in advance", "kind", b.base.kind, "error", err)
		p.plan.startFailed(b, err, now)
	default:
		b.c = c
		p.watch(c)
		p.plan.stemStarted(b, now)
		if p.closed {
			p.plan.endStem(b)
		}
	}
	p.carryOut()
}

// allowConcurrent is what OpenWhisk's runtimes look for.
const allowConcurrent = "__OW_ALLOW_CONCURRENT"

func (p *pool) launch(ctx context.Context, b *box, k key) (*container, error) {
	p.mu.Lock()
	p.names++
	name := fmt.Sprintf("whiskaway-%d", p.names)
	p.mu.Unlock()
	spec := Spec{Name: name, Kind: b.base.kind, Image: b.base.image, Memory: b.base.memory, Namespace: k.namespace, Action: k.action}
	if b.base.concurrent {
		spec.Env = map[string]string{allowConcurrent: "true"}
	}
	running, err := p.driver.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	c := &container{Container: running, box: b, removed: make(chan struct{})}
	c.logs = newLogBook(running.Logs())
	return c, nil
}

// watch tells the plan when a container ends by itself. The caller holds mu.
func (p *pool) watch(c *container) {
	p.tasks.Go(func() {
		select {
		case <-c.Done():
		case <-c.removed:
			return
		}
		p.change(func(now time.Time) {
			if c.box.state == ready || c.box.state == stem {
				p.log.Info("a container ended by itself", "action", c.box.key.action, "kind", c.box.base.kind)
			}
			p.plan.died(c.box, now)
		})
	})
}

// remove ends a container for good, and gives its memory back.
func (p *pool) remove(c *container) {
	p.kill(c)
	p.change(func(now time.Time) { p.plan.gone(c.box, now) })
}

func (p *pool) kill(c *container) {
	ctx, cancel := context.WithTimeout(context.Background(), killWithin)
	defer cancel()
	c.hangUp()
	if err := c.Kill(ctx); err != nil {
		p.log.Error("a container could not be removed", "action", c.box.key.action, "error", err)
	}
	close(c.removed)
	c.logs.close(streamsWithin)
}

// killAll ends containers that were evicted: their memory is another's already.
func (p *pool) killAll(list []*box) {
	var all sync.WaitGroup
	for _, b := range list {
		all.Go(func() { p.kill(b.c) })
	}
	all.Wait()
}

// keep pauses and removes what is idle, and begins anew what has failed, until the pool ends.
func (p *pool) keep() {
	shortest := min(p.cfg.Idle, 40*time.Second)
	for _, d := range []time.Duration{p.cfg.PauseAfter, p.cfg.PrewarmIdle} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	ticker := time.NewTicker(min(max(shortest/4, time.Millisecond), 2*time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-p.life.Done():
			return
		case <-ticker.C:
			p.change(func(now time.Time) { p.plan.expire(now, p.cfg.Idle, p.cfg.PrewarmIdle) })
			p.pauseIdle()
		}
	}
}

// pauseIdle begins to pause what has been idle for long enough.
func (p *pool) pauseIdle() {
	if p.cfg.PauseAfter < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := time.Now().Add(-p.cfg.PauseAfter)
	for e := p.plan.idle.Front(); e != nil; e = e.Next() {
		b := e.Value.(*box)
		if b.since.After(before) {
			return
		}
		if !b.paused {
			b.paused = true
			since := b.since
			p.tasks.Go(func() { p.pause(b, since) })
		}
	}
}

// pause pauses a container if it is still idle, and has been so since then.
func (p *pool) pause(b *box, since time.Time) {
	p.pauses <- struct{}{}
	defer func() { <-p.pauses }()
	err := b.c.sleep(p.life, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return b.state == ready && b.running == 0 && b.since.Equal(since)
	})
	if err == nil || p.life.Err() != nil {
		return
	}
	p.log.Error("a container is removed", "action", b.key.action, "error", err)
	p.change(func(time.Time) { p.plan.discard(b) })
}
