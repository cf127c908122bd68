package runtime

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		host := newFakeHost()
		b := &bound{host: host, life: life, log: slog.New(slog.DiscardHandler),
			lease: function.Lease{ID: "l", TTL: 60 * time.Second}}
		id := function.Spec{Main: "main"}.ID()
		b.id.Store(&id)
		host.grant(id, "l")
		b.background.Go(b.keepLease)

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
