package balancer

import (
	"container/list"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// serve gives those who wait for f what there is, in their order, and begins the starts that
// they need. It wants the lock.
func (b *Balancer) serve(f *fn, now time.Time) {
	f.wake, f.asked = time.Time{}, 0
	for b.serveOne(f, now) {
	}
	b.wakeAt(f)
}

// overtakes is past how many waiters, whom some members have refused, others are looked for who
// may still go there.
const overtakes = 16

// wantsMore reports whether the queue has grown so much since placement said "wait" that it may
// want further starts. Else nothing has changed, and who comes now waits behind the others. It wants the lock.
func (f *fn) wantsMore() bool { return f.queue.Len() > f.asked+f.asked/4 }

// serveOne does the same for the next one only, and reports whether somebody got a place or a start
// began. It wants the lock.
func (b *Balancer) serveOne(f *fn, now time.Time) bool {
	if b.serveInits(f, now) {
		return true
	}
	passed := 0
	for e := f.queue.Front(); e != nil && passed <= overtakes; {
		w := e.Value.(*waiter)
		e = e.Next()
		if b.pauses(w, now) {
			f.wakeBefore(w.notBefore)
			passed++
			continue
		}
		switch b.settle(w, now) {
		case placed:
			return true
		case stays:
			if len(w.tried) == 0 {
				return false // those behind it find no other place
			}
			passed++
		}
	}
	return false
}

// pauses reports whether the waiter has asked everybody and begins anew later. It wants the lock.
func (b *Balancer) pauses(w *waiter, now time.Time) bool {
	return now.Before(w.notBefore) && w.epoch == b.epoch
}

// serveInits answers the Inits of a function that some member has, and sees to a start where
// none has and no run does. It wants the lock.
func (b *Balancer) serveInits(f *fn, now time.Time) (begun bool) {
	if f.asking.Len() == 0 {
		return false
	}
	if f.ready() {
		for f.asking.Len() > 0 {
			b.tell(f.asking.Front().Value.(*waiter), answer{})
		}
		return true
	}
	var next *list.Element
	for e := f.asking.Front(); e != nil && !f.starting(); e = next {
		next = e.Next()
		w := e.Value.(*waiter)
		if b.pauses(w, now) {
			f.wakeBefore(w.notBefore)
			continue
		}
		if b.settle(w, now); f.starting() {
			return true
		}
	}
	return false
}

// An end says what settle did.
type end int

const (
	stays   end = iota // the waiter waits on
	placed             // it has its place
	refused            // it has been refused
)

// settle places one waiter, refuses it, or leaves it where it is. It wants the lock.
func (b *Balancer) settle(w *waiter, now time.Time) end {
	if len(w.tried) >= maxTries {
		return b.exhausted(w, now)
	}
	dec := b.decide(w, now)
	w.f.wakeBefore(dec.Until)
	switch dec.Verdict {
	case placement.Run:
		b.place(w, dec.Site, now)
		return placed
	case placement.Wait:
		if len(w.tried) == 0 {
			w.f.asked = w.f.queue.Len()
		}
		return stays
	}
	return b.noPlace(w, dec.Verdict, now)
}

// decide asks placement, and begins the starts that it wants. It wants the lock.
func (b *Balancer) decide(w *waiter, now time.Time) placement.Decision {
	f := w.f
	for {
		ask := placement.Request{Tried: w.tried, Waited: now.Sub(w.since), Waiting: max(1, f.queue.Len())}
		dec := placement.Place(b.snapshotFor(f, now), &f.place, ask, now)
		if dec.Start == nil {
			return dec
		}
		if !b.start(f, dec.Start, now) || dec.Verdict == placement.Run {
			return dec
		}
	}
}

// snapshotFor is where the function may run. After a start has failed it is for a while only where it
// is ready, if it is so anywhere: nobody shall wait for a start that is not to be. It wants the lock.
func (b *Balancer) snapshotFor(f *fn, now time.Time) placement.Snapshot {
	all := b.classOf(f).snapshot
	if !now.Before(f.widenAfter) || !f.ready() {
		return all
	}
	f.wakeBefore(f.widenAfter)
	var ready []*placement.Host
	for _, s := range f.place.Sites {
		if s.State != placement.Cold {
			ready = append(ready, s.Host)
		}
	}
	return placement.Snapshot{Hosts: ready}
}

// place gives a run its place. It wants the lock.
func (b *Balancer) place(w *waiter, site *placement.Site, now time.Time) {
	d := b.reserve(w.f, site, now)
	w.cold = w.cold || d.h.readyAt.After(w.since)
	b.tell(w, answer{dispatch: d})
}
