package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// mayWait says why a request may not wait, or nil. It wants the lock.
func (b *Balancer) mayWait(q *request, now time.Time) error {
	switch {
	case q.init:
	case q.f.queue.Len() >= b.cfg.Queue:
		return inAWhile(function.CodeNoCapacity, q.f.outlook(), "%d runs of %s wait for a free server already, which is the limit", b.cfg.Queue, q.f.spec.FullName())
	case !q.deadline.IsZero():
		left := q.deadline.Sub(now)
		if wait, run := b.leastWait(q.f); wait > 0 && wait+run > left {
			return inAWhile(function.CodeBusy, wait, "the run would wait for about %v on the servers %s and could not end within its time limit, so it was not started; try again later",
				wait.Round(time.Millisecond), wanted(q.f.spec))
		}
	}
	if b.waiters >= b.cfg.Waiters {
		return inAWhile(function.CodeBusy, time.Second, "%d runs wait for servers already, which is the limit", b.waiters)
	}
	return nil
}

// inAWhile is a refusal that says when to come again.
func inAWhile(code function.Code, wait time.Duration, format string, args ...any) error {
	e := function.Errorf(code, format, args...)
	e.RetryAfter = min(max(wait, 100*time.Millisecond), time.Minute)
	return e
}

// leastWait is for how long a run that comes now will wait at least, and what it usually takes then; 0: that
// cannot be foreseen, since the runs' times are not known, or there are servers left on which the function may
// still be started. It wants the lock.
func (b *Balancer) leastWait(f *fn) (wait, usual time.Duration) {
	slots, ready := 0, 0
	for _, s := range f.place.Sites {
		if s.State != placement.Ready {
			continue
		}
		ready++
		slots += s.Slots
		took := f.place.RunTime(s.Host)
		if took == 0 {
			return 0, 0
		}
		if usual == 0 || took < usual {
			usual = took
		}
	}
	if slots == 0 || ready < len(b.classOf(f).snapshot.Hosts) {
		return 0, 0
	}
	return time.Duration(f.queue.Len()/slots) * usual, usual
}

// outlook is in how long the function's queue will be shorter, roughly. It wants the lock.
func (f *fn) outlook() time.Duration {
	wait := time.Second
	slots, usual := 0, time.Duration(0)
	for _, s := range f.place.Sites {
		slots += s.Slots
		usual = max(usual, f.place.RunTime(s.Host))
	}
	if slots > 0 {
		wait = time.Duration(f.queue.Len()) * usual / time.Duration(slots)
	}
	return min(max(wait, time.Second), time.Minute)
}
