package scaler

import (
	"context"
	"errors"
	"slices"
	"time"
)

// list is what a call can be, besides start and stop.
const list verb = "list"

// A call is one call of a driver, and later its end.
type call struct {
	pool   *pool
	verb   verb
	n      int    // for start
	server string // for stop
	begin  time.Time

	listed []Machine
	err    error
}

// call begins a call of p's driver. There must be none in flight.
func (s *Scaler) call(ctx context.Context, p *pool, c call) {
	p.calling = true
	c.pool, c.begin = p, time.Now()
	s.calls.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		switch c.verb {
		case start:
			c.err = p.Driver.Start(ctx, p.Name(), c.n)
		case stop:
			c.err = p.Driver.Stop(ctx, c.server)
		case list:
			c.listed, c.err = p.Driver.List(ctx)
		}
		s.ended <- c // there is room: one call is in flight for a pool
	})
}

// took takes over how a call has ended.
func (s *Scaler) took(c call, now time.Time) {
	p, log := c.pool, s.cfg.Log.With("label", c.pool.Name())
	p.calling = false
	p.listAt = now
	if c.err != nil && !errors.Is(c.err, context.Canceled) {
		log.Warn("scaler: "+string(c.verb)+" failed", "error", c.err)
	}
	switch c.verb {
	case start:
		p.stale = true
		p.started(c, now)
	case stop:
		p.stale = true
		p.stopped(c, now)
	case list:
		p.list(c, now, s.cfg.StartTimeout)
	}
}

// seeLog is what clients are told: what a script has printed is for operators only.
const seeLog = "; the balancer's log says why"

// started notes what was asked for. After an error nothing is known, so nothing is
// counted on: what has come of it, the list will show.
func (p *pool) started(c call, now time.Time) {
	if c.err != nil {
		p.failed(now, "starting a server failed"+seeLog)
		return
	}
	p.asked, p.askedAt = p.asked+c.n, now
}

// stopRetry is how long it takes until a Stop that failed is tried again.
const stopRetry = 30 * time.Second

func (p *pool) stopped(c call, now time.Time) {
	m := p.machines[c.server]
	switch {
	case m == nil:
	case c.err != nil:
		m.notBefore = now.Add(stopRetry)
	default:
		m.stopping, m.stoppedAt = true, now
	}
}

// list takes over what the driver says there is.
func (p *pool) list(c call, now time.Time, timeout time.Duration) {
	if c.err != nil {
		p.listAt = now.Add(listSoon)
		if !p.known {
			p.say("asking what servers there are failed" + seeLog)
		}
		return
	}
	p.known, p.stale = true, false
	there := map[string]bool{}
	for _, l := range c.listed {
		if l.Label != "" && l.Label != p.Name() || l.Server == "" {
			continue
		}
		there[l.Server] = true
		p.listed(l, now, timeout)
	}
	for name := range p.machines {
		if !there[name] {
			delete(p.machines, name)
		}
	}
	if p.asked > 0 && now.Sub(p.askedAt) >= timeout {
		p.asked = 0
		p.failed(now, "a server was started and is not in the driver's list")
	}
	p.listAt = now.Add(p.listIn())
}

// listed takes over one machine. One that is new is what was asked for last.
func (p *pool) listed(l Machine, now time.Time, timeout time.Duration) {
	m := p.machines[l.Server]
	if m == nil || !m.made.Equal(l.Since) { // names may be used again
		m = &machine{server: l.Server, made: l.Since, since: now}
		p.machines[l.Server] = m
		p.asked = max(0, p.asked-1)
	}
	m.rank, m.failed, m.why = l.Rank, l.State == Failed, l.Why
	if l.State == Stopping {
		m.stopping, m.stoppedAt = true, now
	} else if m.stopping && now.Sub(m.stoppedAt) >= timeout {
		m.stopping = false // it did not end, so it is told again
	}
}

// listIn is how long the list is good for.
func (p *pool) listIn() time.Duration {
	moving := func(m *machine) bool { return !m.joined || m.stopping }
	switch {
	case p.asked > 0 || slices.ContainsFunc(p.sorted(), moving):
		return listSoon
	case len(p.machines) > 0:
		return listEvery
	}
	return listSeldom
}
