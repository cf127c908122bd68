package balancer

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A request is one Run or Init on its way to a member.
type request struct {
	id       function.ID
	claim    function.Claim
	f        *fn  // known from the start for an Init
	init     bool // an Init: reserves nothing, needs no lease
	begin    time.Time
	deadline time.Time // zero: none
	tried    []*member // who refused it
	last     error     // the last refusal
	waited   bool      // it took more than a moment
	scaled   bool      // it waits for a server that a scaler starts
	cold     bool      // it waited for a start
	over     bool      // no further try makes sense
}

func (q *request) refused(m *member, err error) {
	q.tried = append(q.tried, m)
	q.last = err
	q.waited = true
}

// A dispatch is the place that a request got. For a run, its holder's and
// member's inFlight count it until release.
type dispatch struct {
	h     *holder
	m     *member
	lease string // ours at the member
	start *start // to wait for; nil: none
}

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

// retryPause is how long a request waits before it tries servers again that
// could not be reached; a change of what is offered ends it early.
const retryPause = 500 * time.Millisecond

// dispatch finds a place, and waits for one where that makes sense.
func (b *Balancer) dispatch(ctx context.Context, q *request) (dispatch, error) {
	for {
		d, w, err := b.choose(q)
		switch {
		case err != nil:
			return d, err
		case w == nil:
			return d, nil
		case w.refused != nil:
			return d, b.withTrouble(w.refused.error(q.f.spec), q.f.spec) // the text is made outside the lock
		}
		if err := b.await(ctx, q, w); err != nil {
			return d, err
		}
	}
}

// A wait is what choose answers when there is no place now.
type wait struct {
	changed <-chan struct{}
	until   time.Time
	refused *refusal // no waiting: this is final
}

// choose asks place, and carries out what it decides.
func (b *Balancer) choose(q *request) (dispatch, *wait, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return dispatch{}, nil, errClosing()
	}
	now := time.Now()
	if !q.init {
		q.f = b.functions[q.id]
		if q.f == nil || !q.f.leased(q.claim, now) {
			return dispatch{}, nil, errUnknown()
		}
	}
	dec := place(b.snapshot(q.f), demand{f: q.f, tried: q.tried}, now)
	switch dec.verdict {
	case runAt:
		if dec.widen != nil {
			b.start(q.f, *dec.widen)
		}
		return b.reserve(q, dec.holder), nil, nil
	case startAt:
		return b.reserve(q, b.start(q.f, dec.fitting)), nil, nil
	}
	w, err := b.noPlace(q, dec, now)
	return dispatch{}, w, err
}

func (b *Balancer) snapshot(f *fn) snapshot {
	c := b.classOf(f)
	return snapshot{holders: f.holders, fitting: c.fitting, lastFit: c.lastFit, perMember: b.cfg.InFlightPerMember, grace: b.cfg.LabelGrace}
}

// reserve counts a run at h. It wants the lock.
func (b *Balancer) reserve(q *request, h *holder) dispatch {
	if !q.init {
		h.inFlight++
		h.m.inFlight++
		h.m.dispatched++
		b.inFlight++
	}
	return dispatch{h: h, m: h.m, lease: h.lease, start: h.start}
}

// release takes a run back from where reserve counted it, exactly once.
func (b *Balancer) release(d dispatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d.h.inFlight--
	d.m.inFlight--
	b.inFlight--
	if b.inFlight == 0 {
		b.idle.fire()
	}
}

// noPlace says what to do when place found none. It wants the lock.
func (b *Balancer) noPlace(q *request, dec decision, now time.Time) (*wait, error) {
	until := dec.until
	var scaled time.Time
	switch dec.verdict {
	case waitUntil:
		scaled = b.scaled(q, now)
		until = later(until, scaled)
	case allFull:
		full := function.Errorf(function.CodeBusy, "every server that could run %s has %d runs in flight already, which is the limit", q.f.spec.FullName(), b.cfg.InFlightPerMember)
		full.RetryAfter = time.Second
		return nil, full
	case nobody:
		scaled = b.scaled(q, now)
		if until = later(b.firstReports(now), scaled); until.IsZero() {
			return &wait{refused: b.refusal()}, nil
		}
	case exhausted:
		if !passing(q.last) || !now.Before(q.begin.Add(b.cfg.LabelGrace)) {
			return nil, q.last
		}
		q.tried = q.tried[:0]
		until = now.Add(retryPause)
	}
	if b.waiters >= b.cfg.Waiters {
		busy := function.Errorf(function.CodeBusy, "%d runs wait for absent servers already, which is the limit", b.waiters)
		busy.RetryAfter = time.Second
		return nil, busy
	}
	b.waiters++ // await takes it back
	if q.scaled = !scaled.IsZero(); q.scaled {
		b.wants(q)
	}
	return &wait{changed: b.offers.wait(), until: until}, nil
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

// await waits until what is offered has changed, or w.until.
func (b *Balancer) await(ctx context.Context, q *request, w *wait) error {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waiters--
		if q.scaled {
			b.waited(q)
		}
	}()
	q.waited = true
	until := w.until
	if !q.deadline.IsZero() && q.deadline.Before(until) {
		until = q.deadline
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-w.changed:
	case <-timer.C:
		if until.Equal(q.deadline) {
			if q.scaled {
				return b.startedTooLate(q.f.spec)
			}
			return function.Errorf(function.CodeTimeout, "the time limit was over while %s waited for a server %s to come back", q.f.spec.FullName(), wanted(q.f.spec))
		}
	case <-ctx.Done():
		return function.AsError(ctx.Err())
	case <-b.ctx.Done():
		return errClosing()
	}
	return nil
}

// awaitStart waits until the place's function is ready.
func (b *Balancer) awaitStart(ctx context.Context, q *request, d dispatch) error {
	if d.start == nil {
		return nil
	}
	q.waited, q.cold = true, true
	var over <-chan time.Time
	if !q.deadline.IsZero() {
		timer := time.NewTimer(time.Until(q.deadline))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-d.start.done:
		return d.start.err
	case <-over:
		return function.Errorf(function.CodeTimeout, "the time limit was over while server %s was starting %s", d.m.Name, q.f.spec.FullName())
	case <-ctx.Done():
		return function.AsError(ctx.Err())
	case <-d.m.ctx.Done():
		return leftWhileStarting(d.m)
	}
}
