package runtime

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// boundTo is a function with a lease of 60 s, renewed until end is called.
func boundTo(t *testing.T, host function.Host) (b *bound, end context.CancelFunc) {
	life, end := context.WithCancel(t.Context())
	b = &bound{host: host, life: life, log: slog.New(slog.DiscardHandler),
		spec:     function.Spec{Main: "main", Code: function.DigestOf([]byte("code"))},
		lease:    function.Lease{ID: "l", TTL: 60 * time.Second},
		patience: DefaultHostPatience}
	id := b.spec.ID()
	b.id.Store(&id)
	b.beats()
	b.background.Go(b.keepLease)
	return b, end
}

func TestLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := newFakeHost()
		b, end := boundTo(t, host)
		id := *b.id.Load()
		host.grant(id, "l")

		time.Sleep(65 * time.Second)
		synctest.Wait()
		if len(host.renewed) != 3 || host.renewed[0] != b.lease.TTL {
			t.Errorf("renewed %v in 65 s, want three times", host.renewed)
		}
		host.forget(false) // left to the next run
		time.Sleep(60 * time.Second)
		synctest.Wait()
		host.grant(id, "l")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(host.renewed) != 4 {
			t.Errorf("renewed %d times, want once more when it is there again", len(host.renewed))
		}
		end()
		if err := b.stop(t.Context()); err != nil || host.stopped != 1 {
			t.Errorf("stop: %v, stopped %d times", err, host.stopped)
		}
	})
}

// A sleepyHost is a fakeHost that keeps connections.
type sleepyHost struct {
	*fakeHost
	reconnected int
	said        []string // what it was asked, in order
}

func (h *sleepyHost) Reconnect() {
	h.say("reconnect")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reconnected++
}

func (h *sleepyHost) say(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, what)
}

func (h *sleepyHost) renewals() (reconnected, renewed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reconnected, len(h.renewed)
}

func (h *sleepyHost) Renew(ctx context.Context, id function.ID, claim function.Claim, ttl time.Duration) error {
	h.say("renew")
	time.Sleep(time.Second) // so that the other runs come meanwhile
	return h.fakeHost.Renew(ctx, id, claim, ttl)
}

// Who was frozen renews on a new connection before any run is sent, once for
// all the runs that come at the same time.
func TestThawRenewsBeforeRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &sleepyHost{fakeHost: newFakeHost()}
		b, end := boundTo(t, host)
		host.grant(*b.id.Load(), "l")
		host.onRun = func(context.Context, *function.Activation, function.Output) (function.Summary, error) {
			host.say("run")
			return okSummary(), nil
		}
		run := func(deadline time.Time) {
			act := &function.Activation{Body: function.BytesBody([]byte("{}")), Timeout: time.Until(deadline)}
			if _, err := b.run(t.Context(), act, deadline, nil); err != nil {
				t.Error(err)
			}
		}
		run(time.Now().Add(time.Minute))
		if reconnected, _ := host.renewals(); reconnected != 0 {
			t.Error("it reconnected without need")
		}
		b.beat.Add(-int64(31 * time.Second)) // as if keepLease had missed a beat: no goroutine of a bubble can be frozen
		var runs sync.WaitGroup
		for range 16 {
			runs.Go(func() { run(time.Now().Add(time.Minute)) })
		}
		runs.Wait()
		if got := strings.Join(host.said, " "); host.reconnected != 1 || !strings.HasPrefix(got, "run reconnect renew run run") || host.runs != 17 {
			t.Errorf("%d reconnects, %d runs: %s", host.reconnected, host.runs, got)
		}
		end()
		if err := b.stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// keepLease itself notices a gap, also when no run comes, and when the clock was set back.
func TestThawWithoutRuns(t *testing.T) {
	for _, gap := range []time.Duration{-31 * time.Second, 45 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			host := &sleepyHost{fakeHost: newFakeHost()}
			b, end := boundTo(t, host)
			host.grant(*b.id.Load(), "l")
			b.beat.Add(int64(gap))
			time.Sleep(22 * time.Second)
			synctest.Wait()
			if reconnected, renewed := host.renewals(); reconnected != 1 || renewed != 1 {
				t.Errorf("%d reconnects, %d renewals", reconnected, renewed)
			}
			time.Sleep(40 * time.Second) // all is well again
			synctest.Wait()
			if reconnected, renewed := host.renewals(); reconnected != 1 || renewed != 3 {
				t.Errorf("later: %d reconnects, %d renewals", reconnected, renewed)
			}
			end()
			if err := b.stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
