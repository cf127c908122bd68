package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// retryPause is how long a request waits before it tries servers again that
// could not be reached; a change of what is offered ends it early.
const retryPause = 500 * time.Millisecond

// askAfter is how long a function waits for room that reports would show, where several servers may come to have it.
// Then one of them is asked all the same: its server knows who has had more than a fair share, and
// makes them yield only when somebody asks.
const askAfter = 250 * time.Millisecond

// lastHope is after how long a server that is set aside is tried where there is no other.
const lastHope = 2 * time.Second

// noPlace decides what becomes of a waiter for whom there is nobody: it waits for who may come, or is
// refused. It wants the lock.
func (b *Balancer) noPlace(w *waiter, v placement.Verdict, now time.Time) end {
	if len(w.tried) > 0 {
		return b.exhausted(w, now)
	}
	if v == placement.NoHost {
		return b.hope(w, later(b.returnOf(w.f, now), b.scaled(w, now)), now)
	}
	return b.noRoom(w, now)
}

// hope lets the waiter wait until then, or refuses it when that is no time. It wants the lock.
func (b *Balancer) hope(w *waiter, until, now time.Time) end {
	if until.IsZero() {
		b.tell(w, answer{why: b.refusal(w.f, now)})
		return refused
	}
	w.f.wakeBefore(until)
	return stays
}

// exhausted is for a waiter whom everybody has refused, or enough of them. Where they may soon be back
// it begins anew. It wants the lock.
func (b *Balancer) exhausted(w *waiter, now time.Time) end {
	if !passing(w.last) || !now.Before(w.begin.Add(b.cfg.LabelGrace)) {
		b.tell(w, answer{err: w.last})
		return refused
	}
	w.tried = nil
	w.notBefore, w.epoch = now.Add(retryPause), b.epoch
	w.f.wakeBefore(w.notBefore)
	return stays
}

// returnOf is how long to wait for a server that was there a moment ago, or has just joined and
// not yet said what it offers; zero: there is none. It wants the lock.
func (b *Balancer) returnOf(f *fn, now time.Time) time.Time {
	if last := b.classOf(f).lastFit; !last.IsZero() && now.Before(last.Add(b.cfg.LabelGrace)) {
		return last.Add(b.cfg.LabelGrace)
	}
	return b.firstReports(now)
}

// firstReports is how long members that have just joined may take to say what they offer; zero
// when there are none. Who has seen a server join may count on it. It wants the lock.
func (b *Balancer) firstReports(now time.Time) (until time.Time) {
	for _, m := range b.members {
		if last := m.since.Add(2 * function.StatusInterval); m.reports == 0 && now.Before(last) && last.After(until) {
			until = last
		}
	}
	return until
}

// noRoom is for a waiter for whom there are servers that fit, of which none can take it now. It wants the lock.
func (b *Balancer) noRoom(w *waiter, now time.Time) end {
	var roomless, aside *placement.Host // the best of them
	could := 0
	for _, h := range b.classOf(w.f).snapshot.Hosts {
		switch placement.ObstacleAt(&w.f.place, h, now) {
		case placement.SmallMemory, placement.SmallGPU:
		case placement.Broken:
			if aside == nil || h.Breaker.RetryAt().Before(aside.Breaker.RetryAt()) {
				aside = h
			}
		case placement.NoMemory, placement.NoGPU:
			could++
			if roomless == nil || h.Load*max(1, roomless.CPUs) < roomless.Load*max(1, h.CPUs) {
				roomless = h
			}
		default:
			could++
		}
	}
	switch {
	case roomless != nil && could > 1 && now.Sub(w.since) < askAfter:
		return b.hope(w, w.since.Add(askAfter), now)
	case roomless != nil && b.start(w.f, roomless, now):
		return stays
	case could > 0:
		return stays // a run's end or a report will tell
	case aside != nil && now.Before(w.begin.Add(b.cfg.LabelGrace)):
		return b.awaitAside(w, aside, now)
	}
	return b.hope(w, time.Time{}, now)
}

// awaitAside waits for a server that is set aside, when nobody else is left. Then it is tried
// sooner than its breaker wants, by one at a time: to be set aside helps only while there are others. It wants the lock.
func (b *Balancer) awaitAside(w *waiter, host *placement.Host, now time.Time) end {
	m := b.classOf(w.f).fitting[host].m
	try := later(w.since, m.triedAt).Add(lastHope)
	if now.Before(try) {
		return b.hope(w, sooner(later(host.Breaker.RetryAt(), now.Add(time.Millisecond)), try), now)
	}
	m.triedAt = now
	site := w.f.place.At(host)
	switch {
	case site == nil || site.State == placement.Cold:
		b.start(w.f, host, now)
	case !w.init && site.State == placement.Ready && site.Load < site.Slots:
		b.place(w, site, now)
		return placed
	}
	return b.hope(w, now.Add(lastHope), now)
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
