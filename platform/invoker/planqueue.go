package invoker

import (
	"container/list"
	"slices"
	"time"
)

// This file is where the plan keeps those who wait.

// Where the machine is crowded, and runs are shorter than shortRun, one that finds all containers busy
// waits for as long as a start takes before another container is started: most often one
// is free sooner, and too many of them only get into each other's way.
const (
	shortRun                = 50 * time.Millisecond
	shortWait, longestShort = 100 * time.Millisecond, time.Second
)

// enqueue puts a new ask where it waits.
func (p *plan) enqueue(l *lane, a *ask, now time.Time) {
	if p.crowded && a.slots == 1 && !a.fresh && l.boxes >= p.enough && l.usual > 0 && l.usual < shortRun {
		a.until = now.Add(min(max(shortWait, l.start), longestShort))
		at := p.short.Back()
		for at != nil && at.Value.(*ask).until.After(a.until) {
			at = at.Prev()
		}
		if at == nil {
			a.elem = p.short.PushFront(a)
		} else {
			a.elem = p.short.InsertAfter(a, at)
		}
		return
	}
	a.elem = p.queue.PushBack(a)
}

// hasten moves those to the queue who have waited for a busy container in vain.
func (p *plan) hasten(now time.Time) {
	for e := p.short.Front(); e != nil; e = p.short.Front() {
		a := e.Value.(*ask)
		if a.until.After(now) {
			return
		}
		p.unqueue(a)
		a.elem = p.insert(a)
	}
}

// wake is when hasten has something to do; zero: never.
func (p *plan) wake() time.Time {
	if e := p.short.Front(); e != nil {
		return e.Value.(*ask).until
	}
	return time.Time{}
}

func (p *plan) unqueue(a *ask) {
	switch {
	case a.elem == nil:
		return
	case a.until.IsZero():
		p.queue.Remove(a.elem)
	default:
		p.short.Remove(a.elem)
	}
	a.elem, a.until = nil, time.Time{}
}

// dequeue takes a lane's ask i out of all queues.
func (p *plan) dequeue(l *lane, i int) {
	p.unqueue(l.asks[i])
	l.asks = slices.Delete(l.asks, i, i+1)
	p.cover(l)
}

// cover says of which asks containers that are starting will take care: they start none themselves.
func (p *plan) cover(l *lane) {
	if l.coming == 0 && l.covered == 0 {
		return
	}
	left := l.coming
	for _, a := range l.asks {
		covered := !a.fresh && left > 0
		if covered {
			left--
		}
		switch {
		case covered && a.elem != nil:
			p.unqueue(a)
		case !covered && a.elem == nil:
			a.elem = p.insert(a)
		}
	}
	l.covered = l.coming - left
}

// insert puts an ask back to where it was in the queue.
func (p *plan) insert(a *ask) *list.Element {
	for e := p.queue.Front(); e != nil; e = e.Next() {
		if e.Value.(*ask).seq > a.seq {
			return p.queue.InsertBefore(a, e)
		}
	}
	return p.queue.PushBack(a)
}
