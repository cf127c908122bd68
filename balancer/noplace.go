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

// noPlace decides what becomes of a waiter for whom there is nobody: it waits for who may come, or is
// refused. It wants the lock.
func (b *Balancer) noPlace(w *waiter, v placement.Verdict, now time.Time) end {
	if len(w.tried) > 0 {
		return b.exhausted(w, now)
	}
	hope, until := false, time.Time{}
	if v == placement.NoHost {
		until = b.returnOf(w.f, now)
		hope = !until.IsZero()
	} else {
		hope, until = b.roomLater(w, now)
	}
	if !hope {
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

// roomLater reports whether one of the members that fit may have a place later, and when to
// ask again though nothing happens; zero: something will. It wants the lock.
func (b *Balancer) roomLater(w *waiter, now time.Time) (hope bool, until time.Time) {
	var ask *placement.Host
	could := 0
	for _, h := range b.classOf(w.f).snapshot.Hosts {
		switch obstacleAt(w.f, h, now) {
		case smallMemory, smallGPU:
		case setAside:
			if again := h.Breaker.RetryAt(); now.Before(w.begin.Add(b.cfg.LabelGrace)) {
				hope, until = true, sooner(until, later(again, now.Add(time.Millisecond)))
			}
		case noMemory, noGPU:
			could++
			if ask == nil || h.Load*max(1, ask.CPUs) < ask.Load*max(1, h.CPUs) {
				ask = h
			}
		default:
			could++
		}
	}
	if ask != nil && (could == 1 || now.Sub(w.since) >= askAfter) {
		return b.start(w.f, ask, now), time.Time{}
	}
	if ask != nil {
		until = sooner(until, w.since.Add(askAfter))
	}
	return hope || could > 0, until
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
