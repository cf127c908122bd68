package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A sight is what one run showed of its member.
type sight struct {
	sent, back time.Time
	sum        function.Summary // when err is nil
	err        error
	unused     bool // nothing was sent
}

// learn tells placement what the run showed. It wants the lock.
func (b *Balancer) learn(d dispatch, saw sight) {
	m := d.m
	if saw.unused {
		m.host.Breaker.Unsent()
		b.lookAgain() // others may be waiting for what it would have told
		return
	}
	switch function.CodeOf(saw.err) {
	case "":
		b.learnRun(d, saw)
	case function.CodeUnreachable:
		b.failed(m, saw.sent, saw.back)
	case function.CodeBusy: // it has fewer than we thought, until it says more
		d.h.Slots = max(1, d.h.load())
		d.h.setLoad()
		b.worked(m, saw.sent, saw.back)
	case function.CodeTimeout, function.CodeCancelled, function.CodeDraining, function.CodeInternal:
		b.undecided(m, saw.back)
	default:
		b.worked(m, saw.sent, saw.back)
	}
}

// learnRun learns from a run that began. How the function did is its own affair. It wants the lock.
func (b *Balancer) learnRun(d dispatch, saw sight) {
	sum := &saw.sum
	if sum.Outcome == function.OutcomeLost {
		b.failed(d.m, saw.sent, saw.back)
		return
	}
	b.worked(d.m, saw.sent, saw.back)
	// One that was ended at its limit took that long at least: a server that gets nothing done is slow.
	if sum.Outcome != function.OutcomeOK && sum.Outcome != function.OutcomeTimeout {
		return
	}
	if took, ok := sum.Took("function"); ok && took > 0 {
		d.h.f.place.Ran(d.m.host, took)
	}
	if n := len(sum.Stations); n > 0 { // the outermost is the member's own
		there := time.Duration(sum.Stations[n-1].Micros) * time.Microsecond
		if rtt := saw.back.Sub(saw.sent) - there; rtt > 0 {
			d.m.host.Answered(rtt)
		}
	}
}

// failed counts a member's failure. What was sent before the last one was known is no
// further one: many runs may be lost at one moment. It wants the lock.
func (b *Balancer) failed(m *member, sent, now time.Time) {
	if !sent.After(m.failedAt) && !m.failedAt.IsZero() {
		return
	}
	m.failedAt = now
	m.failures++
	before := m.host.Breaker.RetryAt()
	m.host.Breaker.Failed(now)
	if at := m.host.Breaker.RetryAt(); !at.Equal(before) && at.After(now) && !m.gone {
		b.log.Warn("a server is set aside after failures", "server", m.Name, "failures", m.failures, "for", at.Sub(now))
	}
}

// worked counts a member's success. What was sent since it last failed proves that it need
// not be set aside for that. It wants the lock.
func (b *Balancer) worked(m *member, sent, now time.Time) {
	m.failures = 0
	m.host.Heard(now)
	breaker := &m.host.Breaker
	wasOpen := !breaker.RetryAt().IsZero()
	breaker.Worked()
	if !wasOpen {
		return
	}
	if !breaker.RetryAt().IsZero() && sent.After(m.failedAt) {
		breaker.Forgive()
	}
	if breaker.RetryAt().IsZero() {
		b.log.Warn("a server that was set aside is used again", "server", m.Name)
		b.lookAgain() // others wait for it too
	}
}

// undecided is for what tells nothing of the member. A breaker that tried it out with that needs
// an answer all the same, or it would wait for one for ever. It wants the lock.
func (b *Balancer) undecided(m *member, now time.Time) {
	if !m.host.Breaker.RetryAt().IsZero() {
		m.host.Breaker.Failed(now)
	}
}

// learnStart learns from a start's end. It wants the lock.
func (b *Balancer) learnStart(h *holder, st *start, err error, now time.Time) {
	switch function.CodeOf(err) {
	case "":
		b.worked(h.m, h.Began, now)
		h.f.place.Started(h.m.host, st.found, now.Sub(h.Began), h.said.start)
	case function.CodeUnreachable, function.CodeTimeout, function.CodeInternal:
		b.failed(h.m, h.Began, now)
	case function.CodeCancelled, function.CodeDraining:
		b.undecided(h.m, now)
	default: // it answered; that the function fails is the function's affair
		b.worked(h.m, h.Began, now)
	}
}

// meet measures the round trip to a new member, by a call that changes nothing there: nobody has
// such a lease.
func (b *Balancer) meet(m *member) {
	ctx, cancel := callContext(m)
	defer cancel()
	began := time.Now()
	err := m.Host.Renew(ctx, function.ID{}, function.Claim{Lease: function.NewLeaseID()}, time.Second)
	took := time.Since(began)
	if function.CodeOf(err) != function.CodeUnknownFunction {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m.host.Answered(took)
}
