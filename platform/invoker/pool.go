package invoker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// errNoRoom says that no container could be had within the time to wait.
var errNoRoom = errors.New("all containers are busy")

// errClosed says that the pool is ending.
var errClosed = errors.New("the invoker is ending")

// A pool holds the containers. mu guards the plan, which decides, and is held for
// moments only; starting, pausing and killing happen outside.
type pool struct {
	driver Driver
	cfg    Config
	log    *slog.Logger
	tasks  sync.WaitGroup
	life   context.Context // of what goes on in the background
	end    context.CancelFunc
	pauses chan struct{} // bounds how many are paused at a time

	mu     sync.Mutex
	plan   *plan
	cpu    cpuWatch
	alarm  *time.Timer // for those who wait for a short time
	rings  time.Time   // when it is to ring; zero: it is not
	closed bool
	names  int64
}

func newPool(driver Driver, cfg Config, log *slog.Logger) *pool {
	p := &pool{driver: driver, cfg: cfg, log: log, plan: newPlan(cfg.Memory, cfg.Prewarm, time.Now()), pauses: make(chan struct{}, 4)}
	p.plan.enough = runtime.NumCPU()
	p.life, p.end = context.WithCancel(context.Background())
	p.alarm = time.AfterFunc(time.Hour, p.ring)
	p.alarm.Stop()
	p.tasks.Go(p.keep)
	p.change(p.plan.refill)
	return p
}

// acquire returns a container for w: a warm one, or one that still needs its
// /init. The wait for room ends at until; a start takes as long as the driver
// allows. The error is a refusal when another container may do.
func (p *pool) acquire(ctx context.Context, w *want, until time.Time) (c *container, cold bool, err error) {
	if w.base.memory > p.cfg.Memory {
		return nil, false, fmt.Errorf("the action wants %d MB, all containers together may have %d MB", w.base.memory, p.cfg.Memory)
	}
	g, err := p.wait(ctx, w, until)
	switch {
	case err != nil:
		return nil, false, err
	case !g.cold:
		c = g.box.c
		if err := c.awake(ctx); err != nil {
			p.release(c, false)
			return nil, false, refusal{err.Error()}
		}
		return c, false, nil
	case g.box.c != nil: // started in advance
		return g.box.c, true, nil
	}
	p.killAll(g.evict)
	c, err = p.start(ctx, g.box, w.key)
	return c, true, err
}

func (p *pool) wait(ctx context.Context, w *want, until time.Time) (grant, error) {
	now := time.Now()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return grant{}, errClosed
	}
	if b := p.plan.quick(w, now); b != nil {
		p.mu.Unlock()
		return grant{box: b}, nil
	}
	me := &ask{want: *w, granted: make(chan grant, 1)}
	p.plan.crowded = p.cpu.look(now)
	p.plan.add(me, now)
	p.carryOut()
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case g := <-me.granted:
		return g, g.err
	case <-timer.C:
		return p.giveUp(me, errNoRoom)
	case <-ctx.Done():
		return p.giveUp(me, ctx.Err())
	}
}

// giveUp ends a wait. What was granted in the same moment is used when only the
// time is over, and given back when nobody wants it.
func (p *pool) giveUp(me *ask, why error) (grant, error) {
	p.mu.Lock()
	gaveUp := p.plan.giveUp(me, time.Now())
	p.carryOut()
	p.mu.Unlock()
	if gaveUp {
		return grant{}, why
	}
	g := <-me.granted
	if g.err == nil && !g.cold && why != errNoRoom {
		p.release(g.box.c, true)
		return grant{}, why
	}
	return g, g.err
}

// started says that c has got through its /init.
func (p *pool) started(c *container) {
	p.change(func(now time.Time) { p.plan.started(c.box, now) })
}

// release takes a container back from one run. When it is good it stays warm for
// the next, else it goes as soon as its other runs have ended.
func (p *pool) release(c *container, good bool) {
	p.change(func(now time.Time) { p.plan.release(c.box, good, now) })
}

// retire lets go the containers of an action's older revisions when they are idle.
func (p *pool) retire(action string, revision int64) {
	p.change(func(time.Time) { p.plan.retire(action, revision) })
}

// change lets the plan decide, and carries it out.
func (p *pool) change(decide func(now time.Time)) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	decide(now)
	p.carryOut()
}

// ring lets the plan look again at who waits for a short time.
func (p *pool) ring() {
	p.change(func(now time.Time) {
		p.rings = time.Time{}
		p.plan.serve(nil, now)
	})
}

// carryOut does what the plan has decided. The caller holds mu.
func (p *pool) carryOut() {
	if at := p.plan.wake(); !at.IsZero() && (p.rings.IsZero() || at.Before(p.rings)) {
		p.rings = at
		p.alarm.Reset(time.Until(at))
	}
	out := p.plan.take()
	for _, g := range out.grants {
		g.ask.granted <- g.grant
	}
	for _, b := range out.kill {
		p.tasks.Go(func() { p.remove(b.c) })
	}
	for _, b := range out.stems {
		if p.closed {
			p.plan.startFailed(b, nil, time.Now())
			continue
		}
		p.tasks.Go(func() { p.startStem(b) })
	}
}

// close refuses those who wait, and ends the idle containers. The busy ones
// must have been released before.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.plan.end(errClosed)
	p.carryOut()
	p.mu.Unlock()
	p.alarm.Stop()
	p.end()
	p.tasks.Wait()
}
