package balancer

import (
	"container/heap"
	"time"
)

// wakes are the functions for which placement must be asked again at some time though nothing
// happens, in a heap.
type wakes []*fn

func (w wakes) Len() int           { return len(w) }
func (w wakes) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w wakes) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].wakeIndex, w[j].wakeIndex = i, j
}

// Push is for container/heap.
func (w *wakes) Push(x any) {
	f := x.(*fn)
	f.wakeIndex = len(*w)
	*w = append(*w, f)
}

// Pop is for container/heap.
func (w *wakes) Pop() any {
	last := len(*w) - 1
	f := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	f.wakeIndex = -1
	return f
}

// wakeBefore makes sure that placement is asked for f at the time at, or before; zero: never.
func (f *fn) wakeBefore(at time.Time) {
	if !at.IsZero() {
		f.wake = sooner(f.wake, at)
	}
}

// wakeAt carries out what was noted with wakeBefore since f was last served. It wants the lock.
func (b *Balancer) wakeAt(f *fn) {
	none, there := f.wake.IsZero() || f.queue.Len()+f.asking.Len() == 0, f.wakeIndex >= 0
	if none && !there || !none && there && f.wake.Equal(f.due) {
		return
	}
	f.due = f.wake
	switch {
	case none:
		heap.Remove(&b.wakes, f.wakeIndex)
	case there:
		heap.Fix(&b.wakes, f.wakeIndex)
	default:
		heap.Push(&b.wakes, f)
	}
	if f.wakeIndex == 0 {
		b.kick()
	}
}

// lookAgain has all who wait served soon: a place may have come that anyone may have. It wants the lock.
func (b *Balancer) lookAgain() {
	if len(b.hungry) > 0 {
		b.changes = true
		b.kick()
	}
}

// kick wakes keepQueues.
func (b *Balancer) kick() {
	select {
	case b.kicks <- struct{}{}:
	default:
	}
}

const (
	roundGap = 5 * time.Millisecond // between two rounds over all who wait, at least: a change may be one of many
	inOneGo  = 32                   // turns of a round for which the lock is held
)

// keepQueues serves those who wait when their time has come, and all of them after changes.
func (b *Balancer) keepQueues() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time // when the last round ended
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-b.kicks:
		case <-timer.C:
		}
		now := time.Now()
		b.mu.Lock()
		next := b.serveDue(now)
		if b.changes && now.Sub(last) >= roundGap {
			b.changes = false
			b.serveRound(now)
			last = time.Now()
			b.kick() // it may have set other times
		} else if b.changes {
			next = sooner(next, last.Add(roundGap))
		}
		b.mu.Unlock()
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// serveDue serves those whose time has come, and returns when the next one's does. It wants the lock.
func (b *Balancer) serveDue(now time.Time) (next time.Time) {
	for len(b.wakes) > 0 {
		f := b.wakes[0]
		if f.due.After(now) {
			return f.due
		}
		b.serve(f, now)
		if f.wakeIndex >= 0 && !f.due.After(now) { // what would have us turn round for ever
			f.wake = now.Add(roundGap)
			b.wakeAt(f)
		}
	}
	return time.Time{}
}

// serveRound serves all who wait, and lets others have the lock now and then. It wants the lock.
func (b *Balancer) serveRound(now time.Time) {
	turns := 0
	b.serveAll(now, func() bool {
		if turns++; turns%inOneGo == 0 {
			b.mu.Unlock()
			b.mu.Lock()
		}
		return b.closing
	})
}
