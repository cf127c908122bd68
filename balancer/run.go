package balancer

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Run runs the function once, at a member, see function.Host. It tries further
// members only while each answered with an error, which says that the run never
// started.
func (b *Balancer) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	q := request{id: id, claim: claim, begin: time.Now()}
	if act.Timeout > 0 {
		q.deadline = q.begin.Add(act.Timeout)
	}
	for {
		d, err := b.dispatch(ctx, &q)
		if err != nil {
			return function.Summary{}, err
		}
		sum, err := b.runAt(ctx, &q, d, act, out)
		b.release(d)
		if err == nil {
			return passOn(sum, &q, d.m), nil
		}
		if ctx.Err() != nil || !elsewhere(err) {
			return function.Summary{}, forClient(err)
		}
		q.refused(d.m, named(d.m, err))
	}
}

// runAt runs at the reserved place. When the member does not know the function
// any more, it is started there again, once.
func (b *Balancer) runAt(ctx context.Context, q *request, d dispatch, act *function.Activation, out function.Output) (function.Summary, error) {
	sum, err := b.runOnce(ctx, q, d, act, out)
	if function.CodeOf(err) != function.CodeUnknownFunction {
		return sum, err
	}
	again, ok := b.again(d)
	if !ok {
		return sum, err
	}
	return b.runOnce(ctx, q, again, act, out)
}

func (b *Balancer) runOnce(ctx context.Context, q *request, d dispatch, act *function.Activation, out function.Output) (function.Summary, error) {
	if err := b.awaitStart(ctx, q, d); err != nil {
		return function.Summary{}, err
	}
	if q.waited && act.Timeout > 0 {
		left := *act
		if left.Timeout = time.Until(q.deadline); left.Timeout <= 0 {
			return function.Summary{}, function.AsError(context.DeadlineExceeded)
		}
		act = &left
	}
	return d.m.Host.Run(ctx, q.f.id, function.Claim{Lease: d.lease, Namespace: q.f.spec.Namespace}, act, out)
}

// again starts the function once more at a member that has forgotten it, or
// joins the start of whoever noticed first. The reservation stays.
func (b *Balancer) again(d dispatch) (dispatch, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d.m.gone || d.m.holders[d.h.f.id] != d.h {
		return d, false
	}
	if d.h.lease == d.lease && d.h.start == nil {
		b.begin(d.h)
	}
	d.lease, d.start = d.h.lease, d.h.start
	return d, true
}

// passOn adds to the summary what the balancer knows.
func passOn(sum function.Summary, q *request, m *member) function.Summary {
	if q.cold {
		sum.Cold = true
	}
	if sum.Outcome == function.OutcomeLost {
		sum.Error = m.says(sum.Error)
	}
	if sum.Server == "" {
		sum.Server = m.Name
	}
	sum.Passed("balancer", time.Since(q.begin))
	return sum
}

// forClient turns the lack of code, which a run's caller cannot mend, into what
// makes it call Init again, where it can.
func forClient(err error) error {
	if function.CodeOf(err) == function.CodeCodeMissing {
		return function.Errorf(function.CodeUnknownFunction, "the function's code is not here any more; Init it again")
	}
	return function.AsError(err)
}
