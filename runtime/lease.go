package runtime

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A reconnector is a Host that keeps connections between calls. Those may have
// died unseen, while this process was frozen for example.
type reconnector interface {
	// Reconnect makes the next calls use new connections.
	Reconnect()
}

// renewEvery is how often the lease is renewed. It is also how often keepLease
// shows that this process is not frozen.
func (b *bound) renewEvery() time.Duration { return b.lease.TTL / 3 }

// keepLease renews the lease until life ends.
func (b *bound) keepLease() {
	tick := time.NewTicker(b.renewEvery())
	defer tick.Stop()
	for {
		select {
		case <-b.life.Done():
			return
		case <-tick.C:
		}
		if b.frozen(time.Now()) {
			b.thaw(b.life)
			continue
		}
		b.beats()
		b.tellRenewal(b.renew())
	}
}

func (b *bound) tellRenewal(err error) {
	if err != nil && b.life.Err() == nil {
		b.log.Warn("renewing the lease", "function", b.spec.FullName(), "error", err)
	}
}

// renew prolongs the lease. That the host has forgotten the function is no
// error here: the next run starts it again, and nobody needs it before.
func (b *bound) renew() error {
	ctx, cancel := context.WithTimeout(b.life, b.renewEvery())
	defer cancel()
	err := b.host.Renew(ctx, *b.id.Load(), b.claim(), b.lease.TTL)
	b.reached(err)
	switch function.CodeOf(err) {
	case function.CodeUnknownFunction:
		return nil
	case function.CodeTimeout, function.CodeUnreachable:
		b.reconnect()
	}
	return err
}

// reconnect makes the next calls use new connections, where the host keeps some.
func (b *bound) reconnect() {
	if r, ok := b.host.(reconnector); ok {
		r.Reconnect()
	}
}

// beats records that this process is not frozen. The wall clock counts, which
// goes on while a machine sleeps.
func (b *bound) beats() { b.beat.Store(time.Now().UnixNano()) }

// frozen reports whether keepLease has missed its time by more than half: then
// nothing of this process has run, and what was connected may be so no more. A
// clock that was set gives a wrong answer, which costs one renewal.
func (b *bound) frozen(now time.Time) bool {
	gap := time.Duration(now.UnixNano() - b.beat.Load())
	return gap > b.renewEvery()*3/2 || gap < -b.renewEvery()
}

// thaw renews the lease on a new connection after a gap: a run that were sent
// on an old one could be lost. However many runs come at once, there is one
// renewal. What it came to is told by the run itself.
func (b *bound) thaw(ctx context.Context) {
	if t := b.joinThaw(); t != nil {
		t.wait(ctx)
	}
}

// joinThaw returns the thaw under way, or begins one; nil: there is no need.
func (b *bound) joinThaw() *task {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.thawing == nil && !b.closing && b.frozen(time.Now()) {
		b.thawing = newTask()
		b.background.Go(b.runThaw)
	}
	return b.thawing
}

func (b *bound) runThaw() {
	b.log.Info("this process was frozen; renewing the lease on a new connection", "function", b.spec.FullName())
	b.reconnect()
	err := b.renew()
	b.tellRenewal(err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beats()
	b.thawing.end(err)
	b.thawing = nil
}
