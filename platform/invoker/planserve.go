package invoker

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// This file is the plan's way of serving those who ask; plan.go keeps the books.

// takeoverEvery bounds how often somebody is served at the cost of others who
// would find their container warm: a queue that is longer than patience must
// not turn every run into a cold start.
const takeoverEvery = patience / 10

// mustYield reports whether a free box of key's must not be given to who waits for
// it: somebody else has waited too long for memory, and is next.
func (p *plan) mustYield(k key, now time.Time) bool {
	e := p.queue.Front()
	if e == nil {
		return false
	}
	head := e.Value.(*ask)
	return head.key != k && now.Sub(head.since) >= patience && now.Sub(p.takeover) >= takeoverEvery
}

// serve grants what can be granted. l is the lane where something has changed; it may be nil.
func (p *plan) serve(l *lane, now time.Time) {
	p.hasten(now)
	switch {
	case l == nil:
	case p.mustYield(l.key, now):
		p.held = true
	default:
		p.serveWarm(l, now)
	}
	for p.letGo(now); p.serveHead(now); p.letGo(now) {
	}
	p.refill(now)
}

// letGo serves those who had to yield, when they need not any more.
func (p *plan) letGo(now time.Time) {
	if !p.held {
		return
	}
	if p.mustYield(key{}, now) { // not to others of the same action
		p.serveWarm(p.lanes[p.queue.Front().Value.(*ask).key], now)
		return
	}
	p.held = false
	for _, l := range p.lanes {
		p.serveWarm(l, now)
	}
}

// serveWarm gives a lane's free slots to those who wait for them.
func (p *plan) serveWarm(l *lane, now time.Time) {
	for i := 0; i < len(l.asks) && len(l.free) > 0; {
		if l.asks[i].fresh {
			i++
			continue
		}
		p.grantWarm(l, i, now)
	}
}

func (p *plan) grantWarm(l *lane, i int, now time.Time) {
	a, b := l.asks[i], l.free[len(l.free)-1]
	p.dequeue(l, i)
	p.occupy(l, b, now)
	p.grant(a, grant{box: b})
}

func (p *plan) grant(a *ask, g grant) { p.out.grants = append(p.out.grants, granted{a, g}) }

// serveHead serves the first in the queue, and reports whether it could.
func (p *plan) serveHead(now time.Time) bool {
	e := p.queue.Front()
	if e == nil {
		return false
	}
	a := e.Value.(*ask)
	l := p.lanes[a.key]
	i := slices.Index(l.asks, a)
	if !a.fresh && len(l.free) > 0 {
		p.serveWarm(l, now) // not this one first, if others of its lane came before
		return true
	}
	b, evict, ok, err := p.newBox(a.base, now)
	if err != nil {
		p.dequeue(l, i)
		p.grant(a, grant{err: err})
		p.drop(l)
		return true
	}
	if !ok {
		return false
	}
	p.dequeue(l, i)
	p.give(l, b, a.slots, now)
	p.grant(a, grant{box: b, cold: true, evict: evict})
	if now.Sub(a.since) >= patience {
		p.takeover = now
	}
	return true
}

// give makes b a box of the lane, which is about to start.
func (p *plan) give(l *lane, b *box, slots int, now time.Time) {
	b.state, b.key, b.slots, b.running, b.since = starting, l.key, slots, 1, now
	l.boxes++
	l.coming += slots - 1
	p.cover(l)
}

// newBox returns one that was started in advance, or one that is to be started
// when the boxes in evict are gone. The error says that none may be started now.
func (p *plan) newBox(of base, now time.Time) (b *box, evict []*box, ok bool, err error) {
	if s := p.stemsOf(of); s != nil && len(s.ready) > 0 {
		b = s.ready[0]
		s.ready = slices.Delete(s.ready, 0, 1)
		p.stemMemory -= of.memory
		return b, nil, true, nil
	}
	if err := p.barred(of, now); err != nil {
		return nil, nil, false, err
	}
	if p.free+p.stemMemory+p.idleMemory < of.memory {
		return nil, nil, false, nil
	}
	for p.free < of.memory {
		evict = append(evict, p.evictOne())
	}
	p.free -= of.memory
	p.tries(of, now)
	b = &box{base: of}
	p.boxes[b] = true
	return b, evict, true, nil
}

// evictOne takes the memory of a box that was started in advance, or else of the one
// that has been idle for longest. There is one.
func (p *plan) evictOne() *box {
	for _, s := range p.stems {
		if last := len(s.ready) - 1; last >= 0 {
			b := s.ready[last]
			s.ready = s.ready[:last]
			p.stemMemory -= b.base.memory
			p.free += b.base.memory
			p.forget(b)
			return b
		}
	}
	b := p.idle.Front().Value.(*box)
	p.leave(b)
	p.forget(b)
	p.free += b.base.memory
	l := p.lanes[b.key]
	l.boxes--
	p.drop(l)
	return b
}

// refill begins to start what is missing of the containers that are wanted in
// advance, one at a time, and never with memory that somebody waits for.
func (p *plan) refill(now time.Time) {
	if p.quiet || p.queue.Len() > 0 || p.stemStarts > 0 {
		return
	}
	for _, s := range p.stems {
		if len(s.ready) < s.want && p.free >= s.base.memory && p.barred(s.base, now) == nil {
			p.free -= s.base.memory
			p.tries(s.base, now)
			s.starting++
			p.stemStarts++
			b := &box{state: stemStarting, base: s.base}
			p.boxes[b] = true
			p.out.stems = append(p.out.stems, b)
			return
		}
	}
}

// failures are the starts of one base that failed in a row.
type failures struct {
	count  int
	reason error // of the last
	until  time.Time
}

const (
	failuresAllowed = 3 // in a row, before the pauses begin
	firstPause      = 200 * time.Millisecond
	longestPause    = 10 * time.Second
	// forgiveAfter is how long failures are remembered when nobody tries again.
	forgiveAfter = 5 * time.Minute
)

var errDied = errors.New("it ended by itself before it was used")

func (p *plan) failed(b base, reason error, now time.Time) {
	f := p.failures[b]
	if f == nil {
		f = &failures{}
		p.failures[b] = f
	}
	f.count++
	f.reason, f.until = reason, now.Add(f.pause())
}

func (p *plan) succeeded(b base) {
	if len(p.failures) > 0 {
		delete(p.failures, b)
	}
}

// pause is how long no further start is tried.
func (f *failures) pause() time.Duration {
	if f.count < failuresAllowed {
		return 0
	}
	return min(firstPause<<min(f.count-failuresAllowed, 10), longestPause)
}

// barred says why no container is to be started now with this base; nil: it may be tried.
func (p *plan) barred(b base, now time.Time) error {
	f := p.failures[b]
	if f == nil || f.count < failuresAllowed {
		return nil
	}
	if left := f.until.Sub(now); left > 0 {
		return fmt.Errorf("the last %d starts of a container for %s failed, the next is tried in %v: %w", f.count, b, left.Round(100*time.Millisecond), f.reason)
	}
	return nil
}

// tries says that one is started now: what becomes of it decides about the next.
func (p *plan) tries(b base, now time.Time) {
	if f := p.failures[b]; f != nil {
		f.until = now.Add(f.pause())
	}
}

// forgive forgets failures that are long ago.
func (p *plan) forgive(now time.Time) {
	for b, f := range p.failures {
		if now.Sub(f.until) > forgiveAfter {
			delete(p.failures, b)
		}
	}
}
