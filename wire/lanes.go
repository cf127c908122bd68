package wire

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// maxIdle bounds the idle lanes to one host.
const maxIdle = 1024

var errClientClosed = errors.New("this client is closed")

// lanes are a client's connections for runs. A run takes the one that was idle
// the shortest. When there is none, it waits for what comes first: a new
// connection, or one that another run leaves.
type lanes struct {
	dial    dialFunc
	idleFor time.Duration  // how long a lane is kept idle
	last    time.Duration  // its lanes' last
	wg      sync.WaitGroup // dials, and the sweeper

	mu      sync.Mutex
	closed  bool
	idle    []*lane   // the longest idle first
	waiting []*waiter // the oldest first; only while no lane is idle
	dialing int       // never less than are waiting
	count   uint64    // numbers waiters and dials in the order of their beginning
	sweeper *time.Timer
	renewal int // counts the renews; lanes from before one are not used again
}

// A waiter is a run that waits for a lane.
type waiter struct {
	number uint64
	got    chan offer // has room for the one that comes
}

// An offer is a lane, or why there is none.
type offer struct {
	lane *lane
	err  error
}

func newLanes(dial dialFunc, idleFor time.Duration) *lanes {
	return &lanes{dial: dial, idleFor: idleFor, last: lastWrite}
}

// take returns a lane whose peer has not closed it, as far as can be seen, with
// deadline set. Its error means that there is no connection.
func (p *lanes) take(ctx context.Context, deadline time.Time) (*lane, error) {
	for {
		l, err := p.next(ctx, deadline)
		if err != nil {
			return nil, err
		}
		since := l.since
		l.since = time.Time{}
		l.limit(deadline)
		if !l.used && since.IsZero() {
			return l, nil // just dialled: TLS may have more to say on it
		}
		if !p.old(since, time.Now()) && l.alive() {
			return l, nil
		}
		l.conn.Close()
	}
}

// next returns the lane that was idle the shortest, or waits for one.
func (p *lanes) next(ctx context.Context, deadline time.Time) (*lane, error) {
	p.mu.Lock()
	if last := len(p.idle) - 1; last >= 0 {
		l := p.idle[last]
		p.idle[last], p.idle = nil, p.idle[:last]
		p.mu.Unlock()
		l.waitedFor = false
		return l, nil
	}
	if p.closed {
		p.mu.Unlock()
		return nil, errClientClosed
	}
	p.count++
	w := &waiter{number: p.count, got: make(chan offer, 1)}
	p.waiting = append(p.waiting, w)
	p.dialLocked()
	p.mu.Unlock()
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	return p.wait(ctx, w)
}

func (p *lanes) wait(ctx context.Context, w *waiter) (*lane, error) {
	select {
	case o := <-w.got:
		if o.lane != nil {
			o.lane.waitedFor = true
		}
		return o.lane, o.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.waiting, w)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 {
		if o := <-w.got; o.lane != nil {
			p.give(o.lane)
		}
	}
	return nil, ctx.Err()
}

// dialLocked dials unless enough dials are under way. A dial goes on when its
// run no longer waits: the next one can use it. p.mu is held.
func (p *lanes) dialLocked() {
	if p.dialing >= len(p.waiting) {
		return
	}
	p.dialing++
	p.count++
	number := p.count
	p.wg.Go(func() {
		conn, err := p.dial(context.Background()) // ended by the client's Close
		p.dialled(number, conn, err)
	})
}

// dialled hands on what the dial with that number came to. Only a run that
// waited for all of it gets its error; for the others there is another dial.
func (p *lanes) dialled(number uint64, conn net.Conn, err error) {
	p.mu.Lock()
	p.dialing--
	if err == nil {
		p.mu.Unlock()
		p.give(newLane(conn, p.last))
		return
	}
	defer p.mu.Unlock()
	if len(p.waiting) > 0 && p.waiting[0].number < number {
		p.popLocked().got <- offer{err: err}
	}
	p.dialLocked()
}

// popLocked takes the oldest of the waiting. p.mu is held.
func (p *lanes) popLocked() *waiter {
	w := p.waiting[0]
	p.waiting = slices.Delete(p.waiting, 0, 1)
	return w
}

// give takes a lane that may carry another run: for one that waits, or to be
// kept for a while.
func (p *lanes) give(l *lane) {
	p.mu.Lock()
	fresh := !l.used || l.renewal == p.renewal
	l.renewal = p.renewal
	if fresh && len(p.waiting) > 0 {
		p.popLocked().got <- offer{lane: l}
		p.mu.Unlock()
		return
	}
	keep := fresh && !p.closed && len(p.idle) < maxIdle
	if keep {
		l.since = time.Now().Round(0)
		p.idle = append(p.idle, l)
		p.armLocked()
	}
	p.mu.Unlock()
	if !keep {
		l.conn.Close()
	}
}

// old reports whether a lane was idle for too long. The wall clock counts, which
// goes on while the machine sleeps.
func (p *lanes) old(since, now time.Time) bool {
	return !since.IsZero() && now.Sub(since) >= p.idleFor
}

// armLocked makes the sweeper come when the longest idle lane is old. p.mu is held.
func (p *lanes) armLocked() {
	if p.sweeper != nil || len(p.idle) == 0 || p.closed {
		return
	}
	p.wg.Add(1)
	p.sweeper = time.AfterFunc(time.Until(p.idle[0].since.Add(p.idleFor)), p.sweep)
}

// sweep closes the lanes that are old.
func (p *lanes) sweep() {
	defer p.wg.Done()
	now := time.Now()
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.old(p.idle[n].since, now) {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.sweeper = nil
	p.armLocked()
	p.mu.Unlock()
	for _, l := range old {
		l.conn.Close()
	}
}

// renew makes the next runs use new connections.
func (p *lanes) renew() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.renewal++
	p.mu.Unlock()
	for _, l := range idle {
		l.conn.Close()
	}
}

// close closes the idle lanes, sends away who waits, and waits for the dials,
// which must have been told to end.
func (p *lanes) close() {
	p.mu.Lock()
	p.closed = true
	idle, waiting := p.idle, p.waiting
	p.idle, p.waiting = nil, nil
	if p.sweeper != nil && p.sweeper.Stop() {
		p.wg.Done()
	}
	p.sweeper = nil
	p.mu.Unlock()
	for _, w := range waiting {
		w.got <- offer{err: errClientClosed}
	}
	for _, l := range idle {
		l.conn.Close()
	}
	p.wg.Wait()
}
