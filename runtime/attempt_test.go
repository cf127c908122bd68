package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// An absentHost cannot be reached until it is back.
type absentHost struct {
	*fakeHost
	back  time.Time
	asked int
	left  time.Duration // that the run had when it started
}

func (h *absentHost) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	h.asked++
	if time.Now().Before(h.back) {
		return function.Summary{}, function.Errorf(function.CodeUnreachable, "nobody is there")
	}
	h.left = act.Timeout
	return h.fakeHost.Run(ctx, id, claim, act, out)
}

func (h *absentHost) Renew(ctx context.Context, id function.ID, claim function.Claim, ttl time.Duration) error {
	if time.Now().Before(h.back) {
		return function.Errorf(function.CodeUnreachable, "nobody is there")
	}
	return h.fakeHost.Renew(ctx, id, claim, ttl)
}

// A host that was there is waited for: within the time limit, for
// DefaultHostPatience at most, and not again for each run while it stays away.
func TestRunWaitsForItsHost(t *testing.T) {
	for name, c := range map[string]struct {
		away, limit time.Duration
		since       time.Duration // how long it has been away already
		code        function.Code
		took        time.Duration // at most
	}{
		"comes back":            {away: 10 * time.Second, limit: time.Minute, took: 11 * time.Second},
		"without a limit":       {away: 10 * time.Second, took: 11 * time.Second},
		"later than the limit":  {away: 10 * time.Second, limit: 3 * time.Second, code: function.CodeUnreachable, took: 3 * time.Second},
		"does not come back":    {away: time.Hour, limit: 5 * time.Minute, code: function.CodeUnreachable, took: DefaultHostPatience + lastPause},
		"has been away forever": {away: time.Hour, limit: 5 * time.Minute, since: 50 * time.Second, code: function.CodeUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := &absentHost{fakeHost: newFakeHost(), back: time.Now().Add(c.away)}
				b, end := boundTo(t, host)
				host.grant(*b.id.Load(), "l")
				time.Sleep(c.since) // the renewals notice
				begun := time.Now()
				act := &function.Activation{Body: function.BytesBody([]byte("{}")), Timeout: c.limit}
				var deadline time.Time
				if c.limit > 0 {
					deadline = begun.Add(c.limit)
				}
				_, err := b.run(t.Context(), act, deadline, discard)
				took := time.Since(begun)
				if function.CodeOf(err) != c.code || took > c.took {
					t.Errorf("%v after %v and %d tries, want %q", err, took, host.asked, c.code)
				}
				if err == nil && c.limit > 0 && host.left != c.limit-took {
					t.Errorf("it was sent with %v left, not %v", host.left, c.limit-took)
				}
				end()
				b.background.Wait()
			})
		})
	}
}

// Another call reaches the host at the very moment when a run has not: it is waited for.
func TestRunWaitsForAHostThatIsJustBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, end := boundTo(t, newFakeHost())
		defer end()
		gone := function.Errorf(function.CodeUnreachable, "nobody is there")
		b.reached(gone)
		b.reached(nil)
		a := attempt{b: b, began: time.Now(), pause: firstPause}
		if err := a.awaitHost(t.Context(), gone); err != nil {
			t.Error(err)
		}
	})
}

// A call that ended with its time or with its caller does not say that the host is there.
func TestAHostIsNotBackBecauseACallWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, end := boundTo(t, &absentHost{fakeHost: newFakeHost(), back: time.Now().Add(time.Hour)})
		defer end()
		gone := function.Errorf(function.CodeUnreachable, "nobody is there")
		b.reached(gone)
		time.Sleep(b.patience)
		b.reached(function.AsError(context.Canceled))
		b.reached(function.AsError(context.DeadlineExceeded))
		a := attempt{b: b, began: time.Now(), pause: firstPause}
		if err := a.awaitHost(t.Context(), gone); err == nil {
			t.Error("the run waits for a host that has been away for long")
		}
	})
}

var discard = function.OutputFunc(func(function.Stream, []byte) error { return nil })

// A function that is evicted again before its run arrives is started again, but
// not for ever.
func TestFunctionEvictedAgainAndAgain(t *testing.T) {
	for _, evictions := range []int{2, 100} {
		host := newFakeHost()
		b, end := boundTo(t, host)
		host.codes[b.spec.Code] = []byte("code")
		host.grant(*b.id.Load(), "l")
		b.host = &evictingHost{fakeHost: host, times: evictions}
		_, err := b.run(t.Context(), &function.Activation{Body: function.BytesBody([]byte("{}"))}, time.Time{}, discard)
		want := function.Code("")
		if evictions > maxRevivals {
			want = function.CodeUnknownFunction
		}
		inits, runs := host.counts()
		if function.CodeOf(err) != want || inits != min(evictions, maxRevivals) || runs > 1 {
			t.Errorf("evicted %d times: %v, %d inits, %d runs", evictions, err, inits, runs)
		}
		end()
		b.background.Wait()
	}
}

// An evictingHost forgets its function before each run, so many times.
type evictingHost struct {
	*fakeHost
	times int
}

func (h *evictingHost) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	if h.times--; h.times >= 0 {
		h.forget(false)
	}
	return h.fakeHost.Run(ctx, id, claim, act, out)
}
