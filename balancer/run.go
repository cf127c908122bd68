package balancer

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
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
			return function.Summary{}, forClient(err)
		}
		saw := runOnce(ctx, &q, d, act, out)
		b.release(d, saw)
		if saw.err == nil {
			return passOn(saw.sum, &q, d.m, saw.back), nil
		}
		if ctx.Err() != nil || !elsewhere(saw.err) {
			return function.Summary{}, forClient(saw.err)
		}
		if function.CodeOf(saw.err) == function.CodeUnknownFunction && b.revive(&q, d) {
			continue
		}
		q.refused(d.m, named(d.m, saw.err))
	}
}

// runOnce runs at the reserved place.
func runOnce(ctx context.Context, q *request, d dispatch, act *function.Activation, out function.Output) (saw sight) {
	saw.sent = q.now()
	if q.waited && act.Timeout > 0 {
		left := *act
		if left.Timeout = q.deadline.Sub(saw.sent); left.Timeout <= 0 {
			return sight{back: saw.sent, err: function.AsError(context.DeadlineExceeded), unused: true}
		}
		act = &left
	}
	saw.sum, saw.err = d.m.Host.Run(ctx, q.f.id, function.Claim{Lease: d.lease, Namespace: q.f.spec.Namespace}, act, out)
	saw.back = time.Now()
	return saw
}

// revive has the function started once more at a member that has forgotten it, unless
// whoever noticed first has seen to that. The run waits for it, once.
func (b *Balancer) revive(q *request, d dispatch) bool {
	if q.revived {
		return false
	}
	q.revived, q.waited, q.cold = true, true, true
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := d.h; !d.m.gone && h.State == placement.Ready && h.lease == d.lease {
		b.begin(h, time.Now())
	}
	return true
}

// passOn adds to the summary what the balancer knows.
func passOn(sum function.Summary, q *request, m *member, now time.Time) function.Summary {
	if q.cold {
		sum.Cold = true
	}
	if sum.Outcome == function.OutcomeLost {
		sum.Error = m.says(sum.Error)
	}
	if sum.Server == "" {
		sum.Server = m.Name
	}
	sum.Passed("balancer", now.Sub(q.begin))
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
