package balancer

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// A Member is a host that joins a balancer: a server, or another balancer.
type Member struct {
	ID   string // stays the same over restarts
	Name string // for people; the ID when empty
	Host function.Host
	// Labels are what its servers get by the operator's word, see withGranted; none: their own count.
	Labels []string
}

// A member is one membership: from Join to its end.
type member struct {
	Member
	ctx   context.Context
	leave context.CancelCauseFunc
	untie func() bool    // from the balancer's context
	work  sync.WaitGroup // starts and keepers; no start begins once gone is set
	kick  chan struct{}  // wakes the keeper

	// Guarded:
	tally    // of all runs there
	since    time.Time
	reports  int // how many came
	gone     bool
	status   function.Status // the last report; never changed after it came
	host     *placement.Host // what placement knows of it
	rooms    []placement.Room
	holders  map[function.ID]*holder
	failures int       // since it last worked
	failedAt time.Time // the last of them
	triedAt  time.Time // see awaitAside
	// dispatched counts our runs there. drains are the servers that we drain; the value says
	// whether a server has said that it drains by itself too.
	dispatched int64
	drains     map[string]bool
}

// silentAfter is how many StatusIntervals without a report make a member dead.
const silentAfter = 5

var (
	errReplaced = errors.New("a newer connection of the same member took over")
	errSilent   = fmt.Errorf("no status came for %v", silentAfter*function.StatusInterval)
	errClosed   = errors.New("the balancer has closed")
)

// Join makes who a member, and blocks while it is one: until ctx ends, its
// Watch fails or falls silent, a later Join with the same ID replaces this one,
// or the balancer closes. The error says which. Functions are placed on a
// member from its first status report on. Runs in flight are not cut when a
// Join ends: how they end is for the member's Host to say.
func (b *Balancer) Join(ctx context.Context, who Member) error {
	if who.ID == "" || who.Host == nil {
		return function.Errorf(function.CodeBadRequest, "a member needs an id and a host")
	}
	if who.Name == "" {
		who.Name = who.ID
	}
	m, err := b.admit(ctx, who)
	if err != nil {
		return err
	}
	defer b.wg.Done()
	defer m.untie()
	b.log.Debug("member joins", "id", m.ID, "name", m.Name)
	m.work.Go(func() { b.keep(m) })
	m.work.Go(func() { b.listenFor(m) })
	m.work.Go(func() { b.meet(m) })
	err = m.Host.Watch(m.ctx, func(st function.Status) error { return b.reported(m, st) })
	if cause := context.Cause(m.ctx); cause != nil {
		err = cause
	}
	if err == nil {
		err = errors.New("its status reports ended")
	}
	if b.drained(m) {
		err = fmt.Errorf("it was draining, and has ended: %w", err)
	}
	b.dismiss(m, err)
	m.work.Wait()
	b.log.Debug("member left", "id", m.ID, "name", m.Name, "why", err)
	return fmt.Errorf("member %s: %w", m.Name, err)
}

// drained reports whether all of m's servers said that they drain.
func (b *Balancer) drained(m *member) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	busy := func(s function.ServerStatus) bool { return !s.Draining }
	return len(m.status.Servers) > 0 && !slices.ContainsFunc(m.status.Servers, busy)
}

// admit makes the membership, and ends an older one with the same ID.
func (b *Balancer) admit(ctx context.Context, who Member) (*member, error) {
	m := &member{Member: who, since: time.Now(), kick: make(chan struct{}, 1), holders: map[function.ID]*holder{}, drains: map[string]bool{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return nil, errClosing()
	}
	if old := b.members[who.ID]; old != nil {
		b.remove(old, errReplaced)
	}
	m.host = b.hostOf(who.ID, m.since)
	m.ctx, m.leave = context.WithCancelCause(ctx)
	m.untie = context.AfterFunc(b.ctx, func() { m.leave(errClosed) })
	b.members[who.ID] = m
	b.wg.Add(1) // under the lock, so never after Close began to wait
	return m, nil
}

// dismiss ends the membership, unless it has ended already.
func (b *Balancer) dismiss(m *member, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(m, why)
}

// remove takes m out of everything that placement looks at. It wants the lock.
func (b *Balancer) remove(m *member, why error) {
	if m.gone {
		return
	}
	m.gone = true
	m.leave(why)
	b.keepHost(m, time.Now())
	for _, h := range m.holders {
		h.forget()
	}
	delete(b.members, m.ID)
	b.offersChanged(m, m.status.Servers)
}

// adoptLimit bounds how many functions are taken up at once when a member comes
// back. Further ones are found by their next run.
const adoptLimit = 256

// adopt takes leases on what a member that comes (back) holds warm, so that a
// broken connection costs no warm function. It wants the lock.
func (b *Balancer) adopt(m *member, now time.Time) {
	n := 0
	for _, s := range m.status.Functions {
		f := b.functions[s.ID]
		if s.State != "ready" || f == nil || !f.live(now) || n == adoptLimit {
			continue
		}
		if h := holderAt(f, m); h.fits && h.State == placement.Cold {
			b.begin(h, now) // it takes no room: the worker is there
			n++
		}
	}
}

// offersChanged is told that m's servers, their labels or kinds are others than
// before. It wants the lock.
func (b *Balancer) offersChanged(m *member, before []function.ServerStatus) {
	now := time.Now()
	b.epoch++
	clear(b.classes)
	for id, g := range b.gone {
		if now.Sub(g.at) > b.cfg.LabelGrace {
			delete(b.gone, id)
		}
	}
	if len(before) > 0 {
		b.gone[m.ID] = goneOffer{servers: before, at: now}
	}
	for _, h := range m.holders {
		h.refit()
	}
	b.offers.fire()
	b.changed.fire()
	b.lookAgain()
}

// listenFor ends the membership when no report comes any more. It counts ticks
// and asks no clock: when this process itself was frozen, that is one tick.
func (b *Balancer) listenFor(m *member) {
	tick := time.NewTicker(function.StatusInterval)
	defer tick.Stop()
	for last, silent := 0, 0; silent < silentAfter; {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
		b.mu.Lock()
		reports := m.reports
		b.mu.Unlock()
		if silent++; reports != last {
			last, silent = reports, 0
		}
	}
	b.dismiss(m, errSilent)
}

// wake makes m's keeper look again.
func (m *member) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

func seedOf(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}
