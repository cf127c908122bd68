package invoker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// errNoRoom says that no container could be had within the time to wait.
var errNoRoom = errors.New("all containers are busy")

// errClosed says that the pool is ending.
var errClosed = errors.New("the invoker is ending")

// A container is a Container in the pool, with what the invoker keeps beside it.
type container struct {
	Container
	key    key
	memory int
	logs   *logBook
	http   client
	since  time.Time // when it became idle
}

// A waiter is a want with the place where its grant arrives.
type waiter struct {
	want
	granted chan granted // cap 1
}

// What a waiter is granted: a warm container, or memory for a new one, once the
// evicted ones are gone.
type granted struct {
	warm  *container
	evict []*container
	err   error
}

// A pool holds the containers. mu guards the fields below it and is held for
// moments only; starting and killing happen outside.
type pool struct {
	driver Driver
	idle   time.Duration // an idle container's life
	log    *slog.Logger
	total  int // megabytes
	tasks  sync.WaitGroup
	stop   chan struct{}

	mu      sync.Mutex
	free    int // megabytes
	spares  []*container
	busy    map[*container]bool
	waiters []*waiter
	closed  bool
	names   int64
}

func newPool(driver Driver, memory int, idle time.Duration, log *slog.Logger) *pool {
	p := &pool{
		driver: driver, idle: idle, log: log, total: memory, free: memory,
		busy: map[*container]bool{}, stop: make(chan struct{}),
	}
	p.tasks.Go(p.reap)
	return p
}

// acquire returns a container for w: a warm one, or a new one that still needs
// its /init. The wait for room ends at until; a start takes as long as the driver
// allows. logLimit is for a new one's first run, in bytes.
func (p *pool) acquire(ctx context.Context, w want, until time.Time, b base, logLimit int) (c *container, cold bool, err error) {
	if w.memory > p.total {
		return nil, false, fmt.Errorf("the action wants %d MB, all containers together may have %d MB", w.memory, p.total)
	}
	waitCtx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	g, err := p.wait(waitCtx, w)
	if err != nil {
		return nil, false, err
	}
	if g.warm != nil {
		return g.warm, false, nil
	}
	p.killAll(g.evict)
	c, err = p.start(ctx, w, b, logLimit)
	if err != nil {
		p.giveBack(w.memory)
		return nil, false, err
	}
	return c, true, nil
}

func (p *pool) wait(ctx context.Context, w want) (granted, error) {
	w.since = time.Now()
	me := &waiter{w, make(chan granted, 1)}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return granted{}, errClosed
	}
	if c := p.warmNow(w); c != nil {
		p.mu.Unlock()
		return granted{warm: c}, nil
	}
	p.waiters = append(p.waiters, me)
	p.serve()
	p.mu.Unlock()
	select {
	case g := <-me.granted:
		return g, g.err
	case <-ctx.Done():
	}
	return p.giveUp(me)
}

// warmNow is the short way: nobody waits, and the container that was used last fits.
// The caller holds mu.
func (p *pool) warmNow(w want) *container {
	last := len(p.spares) - 1
	if last < 0 || len(p.waiters) > 0 || w.fresh || p.spares[last].key != w.key {
		return nil
	}
	c := p.spares[last]
	select {
	case <-c.Done():
		return nil
	default:
	}
	p.spares[last] = nil
	p.spares = p.spares[:last]
	p.busy[c] = true
	return c
}

// giveUp ends a wait, unless the grant came in the same moment.
func (p *pool) giveUp(me *waiter) (granted, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiters, me); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
		p.serve() // it may have been the one that held up the others
		return granted{}, errNoRoom
	}
	g := <-me.granted
	return g, g.err
}

// serve grants what can be granted. The caller holds mu.
func (p *pool) serve() {
	for len(p.waiters) > 0 {
		p.dropDead()
		g := plan(p.wants(), p.idleOnes(), p.free, time.Now())
		if g.want < 0 {
			return
		}
		w := p.waiters[g.want]
		p.waiters = slices.Delete(p.waiters, g.want, g.want+1)
		w.granted <- p.take(w, g)
	}
}

func (p *pool) wants() []want {
	list := make([]want, len(p.waiters))
	for i, w := range p.waiters {
		list[i] = w.want
	}
	return list
}

func (p *pool) idleOnes() []spare {
	list := make([]spare, len(p.spares))
	for i, c := range p.spares {
		list[i] = spare{c.key, c.memory, c.since}
	}
	return list
}

// take carries out a grant.
func (p *pool) take(w *waiter, g grant) granted {
	if g.reuse >= 0 {
		c := p.spares[g.reuse]
		p.spares = slices.Delete(p.spares, g.reuse, g.reuse+1)
		p.busy[c] = true
		return granted{warm: c}
	}
	var evict []*container
	for _, i := range g.evict {
		evict = append(evict, p.spares[i])
		p.free += p.spares[i].memory
	}
	p.spares = slices.DeleteFunc(p.spares, func(c *container) bool { return slices.Contains(evict, c) })
	p.free -= w.memory
	return granted{evict: evict}
}

// dropDead removes idle containers that ended by themselves. The caller holds mu.
func (p *pool) dropDead() {
	p.spares = slices.DeleteFunc(p.spares, func(c *container) bool {
		select {
		case <-c.Done():
			p.log.Info("an idle container ended by itself", "action", c.key.action)
			p.free += c.memory
			p.tasks.Go(func() { p.kill(c) })
			return true
		default:
			return false
		}
	})
}

// release takes a container back; it stays warm for the next run.
func (p *pool) release(c *container) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handOver(c) {
		return
	}
	delete(p.busy, c)
	c.since = time.Now()
	p.spares = append(p.spares, c)
	p.serve()
}

// handOver is the short way under load: the first that waits wants this very
// container. plan would choose the same. The caller holds mu.
func (p *pool) handOver(c *container) bool {
	if len(p.waiters) == 0 || p.waiters[0].fresh || p.waiters[0].key != c.key {
		return false
	}
	select {
	case <-c.Done():
		return false
	default:
	}
	w := p.waiters[0]
	p.waiters = slices.Delete(p.waiters, 0, 1)
	w.granted <- granted{warm: c}
	return true
}

func (p *pool) giveBack(memory int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += memory
	p.serve()
}

// counts returns how many containers are idle and busy.
func (p *pool) counts() (idle, busy int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.spares), len(p.busy)
}
