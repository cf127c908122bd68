package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// A request is one Run or Init on its way to a member.
type request struct {
	id       function.ID
	claim    function.Claim
	f        *fn  // known from the start for an Init
	init     bool // an Init: reserves nothing, needs no lease
	begin    time.Time
	deadline time.Time         // zero: none
	tried    []*placement.Host // who refused it
	last     error             // the last refusal
	waited   bool              // it took more than a moment
	cold     bool              // it waited for a start
	revived  bool              // a member had forgotten the function, and was asked to start it again
}

// now is the time, as long as nothing has held up the request that of its begin.
func (q *request) now() time.Time {
	if q.waited {
		return time.Now()
	}
	return q.begin
}

func (q *request) refused(m *member, err error) {
	q.tried = append(q.tried, m.host)
	q.last = err
	q.waited = true
}

// A dispatch is the place that a run got. Its holder and member count it until
// release.
type dispatch struct {
	h     *holder
	m     *member
	lease string // ours at the member
}

// maxTries is how many members one run or start is tried at, in one go.
const maxTries = 4

// elsewhere reports whether a refusal with that error is worth another try.
// All errors say that nothing has started.
func elsewhere(err error) bool {
	switch function.CodeOf(err) {
	case function.CodeBusy, function.CodeDraining, function.CodeUnreachable, function.CodeNoCapacity, function.CodeUnknownFunction:
		return true
	}
	return false
}

// passing reports whether the server that refused may soon be back.
func passing(err error) bool {
	code := function.CodeOf(err)
	return code == function.CodeUnreachable || code == function.CodeDraining
}

// enter gives the request its place when there is one, else it waits in its
// function's queue. An Init has what it wants when some member has the function.
func (b *Balancer) enter(q *request) (dispatch, *waiter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return dispatch{}, nil, errClosing()
	}
	now := q.now()
	if q.init {
		if q.f.ready() {
			return dispatch{}, nil, nil
		}
	} else {
		q.f = b.functions[q.id]
		if q.f == nil || !q.f.leased(q.claim, now) {
			return dispatch{}, nil, errUnknown()
		}
		if d, ok := b.atOnce(q, now); ok {
			return d, nil, nil
		}
	}
	w, err := b.enqueue(q, now)
	if err == nil && (q.init || q.waited || q.f.wantsMore()) {
		b.serve(q.f, now)
	}
	return dispatch{}, w, err
}

// atOnce places a run before which nobody waits. It wants the lock.
func (b *Balancer) atOnce(q *request, now time.Time) (dispatch, bool) {
	if q.f.queue.Len() > 0 || len(q.tried) >= maxTries {
		return dispatch{}, false
	}
	ask := placement.Request{Tried: q.tried, Waiting: 1}
	dec := placement.Place(b.snapshotFor(q.f, now), &q.f.place, ask, now)
	if dec.Verdict != placement.Run {
		return dispatch{}, false // serve asks again, with the queue
	}
	if dec.Start != nil {
		b.start(q.f, dec.Start, now)
	}
	return b.reserve(q.f, dec.Site, now), true
}

// reserve counts a run at a site. It wants the lock.
func (b *Balancer) reserve(f *fn, site *placement.Site, now time.Time) dispatch {
	h := site.Owner.(*holder)
	b.charge(f, costOf(f, h))
	h.sent()
	h.m.sent()
	h.m.dispatched++
	b.recount(h)
	h.UsedAt = now
	h.m.host.Breaker.Sent(now)
	b.inFlight++
	return dispatch{h: h, m: h.m, lease: h.lease}
}

// release takes a run back from where reserve counted it, exactly once, learns from
// it, and lets those go on who waited for its slot.
func (b *Balancer) release(d dispatch, saw sight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d.h.ended()
	d.m.ended()
	wasFull := d.m.host.Full
	b.recount(d.h)
	b.learn(d, saw)
	b.inFlight--
	if b.inFlight == 0 {
		b.idle.fire()
	}
	switch {
	case wasFull && len(b.hungry) > 0: // all who wait may want that place
		b.serveAll(saw.back, func() bool { return d.m.host.Full })
	case d.h.f.queue.Len() > 0 && d.h.Load < d.h.Slots:
		b.serveOne(d.h.f, saw.back) // it is one slot
		b.wakeAt(d.h.f)
	}
}

// recount tells placement what the tallies of h and its member say. It wants the lock.
func (b *Balancer) recount(h *holder) {
	h.setLoad()
	h.m.host.Load = h.m.load()
	h.m.host.Full = h.m.ours >= b.cfg.InFlightPerMember
}
