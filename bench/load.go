package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A measurement is what one window of load showed.
type measurement struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       float64 // microseconds of CPU per request, of everything
	own       float64 // the load generator's share of it
	balancer  float64 // the balancer's share of it, where there is one
}

// load asks s over n connections for warm and then window, and measures the window.
func (l *lab) load(ctx context.Context, s *setup, n int, warm, window time.Duration) (measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, warm+window+time.Minute)
	defer cancel()
	callers, err := openCallers(s, n)
	if err != nil {
		return measurement{}, err
	}
	g := generator{begin: time.Now().Add(warm)}
	g.end = g.begin.Add(window)
	// Whoever waits for an answer that does not come is freed by closing.
	free := sync.OnceFunc(func() { closeAll(callers) })
	defer context.AfterFunc(ctx, free)()
	defer free()
	for i, c := range callers {
		g.callers.Go(func() { g.ask(c, firstID+int64(i)*idsPerCaller) })
	}
	before, errBefore := l.sampleAt(ctx, s, g.begin)
	after, errAfter := l.sampleAt(ctx, s, g.end)
	g.stop.Store(true)
	g.callers.Wait()
	if err := errors.Join(errBefore, errAfter); err != nil {
		return measurement{}, err
	}
	return g.result(after.minus(before), window)
}

const (
	// firstID has as many digits as all that follow, so that an id can be
	// written over another.
	firstID      = 100_000_000_000
	idsPerCaller = 100_000_000
)

func openCallers(s *setup, n int) ([]caller, error) {
	var callers []caller
	for range n {
		c, err := s.open()
		if err != nil {
			closeAll(callers)
			return nil, err
		}
		callers = append(callers, c)
	}
	return callers, nil
}

func closeAll(callers []caller) {
	for _, c := range callers {
		c.close() // what it had to say was said by call
	}
}

// A generator is one load under way.
type generator struct {
	begin, end time.Time
	stop       atomic.Bool
	callers    sync.WaitGroup

	mu    sync.Mutex
	times []time.Duration
	err   error // the first one
}

// ask asks until the end; only what begins and ends in the window counts.
func (g *generator) ask(c caller, id int64) {
	var times []time.Duration
	var err error
	for ; err == nil && !g.stop.Load(); id++ {
		start := time.Now()
		if err = c.call(id); err != nil {
			break
		}
		end := time.Now()
		if start.After(g.begin) && end.Before(g.end) {
			times = append(times, end.Sub(start))
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times = append(g.times, times...)
	if g.err == nil && err != nil {
		g.err = err
		g.stop.Store(true)
	}
}

func (g *generator) result(used usage, window time.Duration) (measurement, error) {
	if g.err != nil {
		return measurement{}, g.err
	}
	n := len(g.times)
	if n == 0 {
		return measurement{}, fmt.Errorf("no answer came within %v", window)
	}
	slices.Sort(g.times)
	return measurement{
		perSecond: float64(n) / window.Seconds(),
		p50:       g.times[n/2],
		p99:       g.times[min(n*99/100, n-1)],
		cpu:       float64(used.all.Microseconds()) / float64(n),
		own:       float64(used.own.Microseconds()) / float64(n),
		balancer:  float64(used.balancer.Microseconds()) / float64(n),
	}, nil
}

// A usage is CPU time since some beginning.
type usage struct {
	all, own, balancer time.Duration
}

func (u usage) minus(before usage) usage {
	return usage{u.all - before.all, u.own - before.own, u.balancer - before.balancer}
}

// sampleAt waits until t, or until ctx ends, and returns what s and we used.
func (l *lab) sampleAt(ctx context.Context, s *setup, t time.Time) (usage, error) {
	select {
	case <-time.After(time.Until(t)):
	case <-ctx.Done():
		return usage{}, ctx.Err()
	}
	all, err := processes()
	if err != nil {
		return usage{}, err
	}
	own := ownCPU()
	u := usage{own: own, all: own}
	for _, p := range all.tree(s.roots) {
		u.all += p.cpu
		l.seen[p.pid] = p.started
	}
	for _, p := range s.roots {
		if p.name == balancerName {
			u.balancer += all[p.cmd.Process.Pid].cpu
		}
	}
	return u, nil
}
