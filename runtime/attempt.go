package runtime

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// DefaultHostPatience is how long runs wait for a host that is away and was
// there before: it may just be restarting. A balancer waits as long for servers.
const DefaultHostPatience = 30 * time.Second

const (
	// maxRevivals bounds how often one run has the function started again. More
	// than one is needed where it is evicted again before the run arrives.
	maxRevivals = 3
	// The pauses between tries to reach the host grow from the first to the last.
	firstPause, lastPause = 50 * time.Millisecond, time.Second
)

// An attempt is one run on its way to the host, which may need several tries.
// All of them but the last certainly never started.
type attempt struct {
	b        *bound
	began    time.Time
	deadline time.Time // the time limit's end, or zero
	revivals int
	pause    time.Duration
}

// run runs the function once. When the host has forgotten it, it is started
// again first; when the host is away, it is waited for. deadline is the time
// limit's end, or zero.
func (b *bound) run(ctx context.Context, act *function.Activation, deadline time.Time, out function.Output) (function.Summary, error) {
	a := attempt{b: b, began: time.Now(), deadline: deadline, pause: firstPause}
	if b.frozen(a.began) {
		var err error
		if act, err = a.after(ctx, act, func(ctx context.Context) error { b.thaw(ctx); return nil }); err != nil {
			return function.Summary{}, err
		}
	}
	for {
		id := b.id.Load()
		sum, err := b.host.Run(ctx, *id, b.claim(), act, out)
		b.reached(err)
		if err == nil {
			return sum, nil
		}
		if act, err = a.again(ctx, act, id, err); err != nil {
			return sum, err
		}
	}
}

// again mends why the run did not start, and returns it for the next try. Its
// error says that there is none.
func (a *attempt) again(ctx context.Context, act *function.Activation, id *function.ID, why error) (*function.Activation, error) {
	return a.after(ctx, act, func(ctx context.Context) error {
		if function.CodeOf(why) == function.CodeUnknownFunction && a.revivals < maxRevivals {
			a.revivals++
			why = a.b.revive(ctx, id)
		}
		if away(why) {
			return a.awaitHost(ctx, why)
		}
		return why
	})
}

// away reports whether the host is not there, or is about to end and says when to come again.
func away(why error) bool {
	e := function.AsError(why)
	return e != nil && (e.Code == function.CodeUnreachable || e.Code == function.CodeDraining && e.RetryAfter > 0)
}

// after does what must come before a try, within the time limit, and returns the
// run with the time that is left then.
func (a *attempt) after(ctx context.Context, act *function.Activation, do func(context.Context) error) (*function.Activation, error) {
	if a.deadline.IsZero() {
		return act, do(ctx)
	}
	ctx, cancel := context.WithDeadline(ctx, a.deadline)
	defer cancel()
	if err := do(ctx); err != nil {
		return nil, err
	}
	late := *act
	if late.Timeout = time.Until(a.deadline); late.Timeout <= 0 {
		return nil, context.DeadlineExceeded
	}
	return &late, nil
}

// awaitHost pauses before the next try to reach the host, or returns why there
// is none: it has been away for too long.
func (a *attempt) awaitHost(ctx context.Context, why error) error {
	since := a.b.away.Load() // 0: another call has just reached it
	if since != 0 && time.Since(time.Unix(0, since)) >= a.b.patience || time.Since(a.began) >= a.b.patience {
		return why
	}
	timer := time.NewTimer(a.pause)
	defer timer.Stop()
	a.pause = min(2*a.pause, lastPause)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return why // it says more than that the time is over
	case <-a.b.life.Done():
		return errEnding()
	}
}

// reached records what a call says about whether the host is there. One that ended
// with its caller, or its time, says nothing: perhaps nobody has heard it.
func (b *bound) reached(err error) {
	away := b.away.Load()
	switch function.CodeOf(err) {
	case function.CodeTimeout, function.CodeCancelled:
	case function.CodeUnreachable:
		if away == 0 {
			b.away.CompareAndSwap(0, time.Now().UnixNano())
		}
	default:
		if away != 0 {
			b.away.Store(0)
		}
	}
}
