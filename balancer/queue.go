package balancer

import (
	"container/list"
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A waiter is a request that waits for its place. While it is in its function's queue,
// all of it is guarded.
type waiter struct {
	request
	since     time.Time
	notBefore time.Time     // it pauses until then
	epoch     int           // or until members offer something else than they did in this one
	place     *list.Element // in its function's queue; nil: it has its answer
	answer    chan answer   // has room for one
}

// An answer ends a wait. An Init's dispatch is empty.
type answer struct {
	dispatch
	err error
	why *refusal // instead of err; its text is made outside the lock
}

// dispatch finds a place, and waits for one where that makes sense.
func (b *Balancer) dispatch(ctx context.Context, q *request) (dispatch, error) {
	d, w, err := b.enter(q)
	if w == nil {
		return d, err
	}
	d, err = b.await(ctx, w)
	*q = w.request
	return d, err
}

// enqueue lets a request wait. One that was on its way already has waited the
// longest. It wants the lock.
func (b *Balancer) enqueue(q *request, now time.Time) (*waiter, error) {
	f := q.f
	if err := b.mayWait(q, now); err != nil {
		return nil, err
	}
	w := &waiter{request: *q, since: now, answer: make(chan answer, 1)}
	queue := &f.queue
	if q.init {
		queue = &f.asking
	}
	if w.waited {
		w.place = queue.PushFront(w)
	} else {
		w.place = queue.PushBack(w)
	}
	w.waited = true
	b.waiters++
	b.hungers(f)
	return w, nil
}

// dequeue takes a waiter out of its queue. It wants the lock.
func (b *Balancer) dequeue(w *waiter) {
	queue := &w.f.queue
	if w.init {
		queue = &w.f.asking
	}
	queue.Remove(w.place)
	w.place = nil
	w.f.asked = min(w.f.asked, w.f.queue.Len()) // who comes into a queue that was long once asks again
	b.waiters--
	b.sated(w.f)
}

// tell ends a wait. It wants the lock.
func (b *Balancer) tell(w *waiter, a answer) {
	b.dequeue(w)
	w.answer <- a
}

// tellAll ends all waits for f with an error. It wants the lock.
func (b *Balancer) tellAll(f *fn, err error) {
	for _, queue := range []*list.List{&f.queue, &f.asking} {
		for queue.Len() > 0 {
			b.tell(queue.Front().Value.(*waiter), answer{err: err})
		}
	}
}

// await waits for the answer, at most until the caller leaves or the run's time is over.
func (b *Balancer) await(ctx context.Context, w *waiter) (dispatch, error) {
	var over <-chan time.Time
	if !w.deadline.IsZero() {
		timer := time.NewTimer(time.Until(w.deadline))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case a := <-w.answer:
		return b.result(w, a)
	case <-over:
		why := b.whyLate(w)
		b.leave(w)
		return dispatch{}, b.withTrouble(why.late(w.f.spec), w.f.spec)
	case <-ctx.Done():
		b.leave(w)
		return dispatch{}, function.AsError(ctx.Err())
	}
}

func (b *Balancer) result(w *waiter, a answer) (dispatch, error) {
	if a.why != nil {
		return dispatch{}, b.withTrouble(a.why.error(w.f.spec), w.f.spec)
	}
	return a.dispatch, a.err
}

// whyLate says what a waiter waited for in vain.
func (b *Balancer) whyLate(w *waiter) *refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.refusal(w.f, time.Now())
	for _, h := range w.tried {
		r.tried(h)
	}
	return r
}

// leave takes a waiter away whose caller waits no longer. A place that it got at the same moment is
// given back.
func (b *Balancer) leave(w *waiter) {
	now := time.Now()
	b.mu.Lock()
	waits := w.place != nil
	if waits {
		b.dequeue(w)
		b.serve(w.f, now) // those behind it may want something else
	}
	b.mu.Unlock()
	if !waits {
		if a := <-w.answer; a.h != nil {
			b.release(a.dispatch, sight{back: now, unused: true})
		}
	}
}
