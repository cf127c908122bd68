package balancer

import (
	"container/list"
	"encoding/binary"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// An fn is a function that a client has asked for. All of it is guarded, except
// what never changes: id, spec, key and tenant.
type fn struct {
	id     function.ID
	spec   function.Spec
	key    string // of its class
	tenant *tenant

	place   placement.Function // what placement knows of it
	holders []*holder          // all its sites, also those that placement does not see

	class *class
	epoch int // the Balancer's, when class was made

	leases     map[string]time.Time // a client's lease, and when it ends
	leaseEnd   time.Time            // the latest of them
	graceEnd   time.Time            // a finished start keeps the function until then
	inits      int                  // Inits in progress
	widenAfter time.Time            // no further server before; a start failed
	recent     *list.Element        // in the Balancer's list

	queue     list.List     // of *waiter: runs, the oldest first
	asking    list.List     // of *waiter: Inits
	asked     int           // how long queue was when placement last let it wait for a slot; 0: it did not
	scaled    bool          // it waits for a server that a scaler starts
	turn      *list.Element // in its tenant's list; nil: nobody waits
	wake      time.Time     // see wakeBefore
	due       time.Time     // wake, as the heap knows it
	wakeIndex int           // in the Balancer's wakes; -1: not there
}

// maxLeases bounds the clients of one function.
const maxLeases = 10_000

// forgetTries is how many of the least recently leased functions are looked at
// for one that can be forgotten.
const forgetTries = 64

// known returns the function that spec describes, and remembers it. It wants
// the lock.
func (b *Balancer) known(spec function.Spec, now time.Time) (*fn, error) {
	id := spec.ID()
	if f := b.functions[id]; f != nil {
		return f, nil
	}
	if len(b.functions) >= b.cfg.SpecLimit && !b.forgetOne(now) {
		busy := function.Errorf(function.CodeBusy, "this balancer has its %d functions in use and takes no further one", b.cfg.SpecLimit)
		busy.RetryAfter = 10 * time.Second
		return nil, busy
	}
	f := &fn{
		id: id, spec: spec, key: classKey(spec.Kind, spec.Require.Labels), tenant: b.tenantOf(spec.Namespace),
		epoch: -1, leases: map[string]time.Time{}, wakeIndex: -1,
		place: placement.Function{Seed: binary.LittleEndian.Uint64(id[:8])},
	}
	f.recent = b.recent.PushFront(f)
	b.functions[id] = f
	b.recall(f, now)
	return f, nil
}

// forgetOne forgets a function that nobody needs. It wants the lock.
func (b *Balancer) forgetOne(now time.Time) bool {
	e := b.recent.Back()
	for i := 0; i < forgetTries && e != nil; i++ {
		f := e.Value.(*fn)
		if !f.held() && !f.live(now) && f.turn == nil {
			b.forgetFn(f)
			return true
		}
		e = e.Prev()
	}
	return false
}

// forgetFn forgets a function that no member has. It wants the lock.
func (b *Balancer) forgetFn(f *fn) {
	b.recent.Remove(f.recent)
	delete(b.functions, f.id)
	for len(f.holders) > 0 {
		f.holders[0].forget()
	}
	if f.tenant.functions--; f.tenant.functions == 0 {
		delete(b.tenants, f.tenant.namespace)
	}
}

// live reports whether members should keep the function.
func (f *fn) live(now time.Time) bool {
	return f.inits > 0 || now.Before(f.leaseEnd) || now.Before(f.graceEnd)
}

// liveUntil is when live has to be asked again at the latest.
func (f *fn) liveUntil() time.Time {
	if f.graceEnd.After(f.leaseEnd) {
		return f.graceEnd
	}
	return f.leaseEnd
}

// leased reports whether the claim lets its holder run the function.
func (f *fn) leased(claim function.Claim, now time.Time) bool {
	return claim.Covers(f.spec.Namespace) && now.Before(f.leases[claim.Lease])
}

// lease grants or prolongs a client's lease.
func (f *fn) lease(id string, end, now time.Time) error {
	if _, ok := f.leases[id]; !ok && len(f.leases) >= maxLeases {
		f.prune(now)
		if len(f.leases) >= maxLeases {
			return function.Errorf(function.CodeBusy, "%s has %d clients already and takes no further one", f.spec.FullName(), maxLeases)
		}
	}
	before := f.leases[id]
	f.leases[id] = end
	switch { // a renewal by one of thousands does not look at all of them
	case end.After(f.leaseEnd):
		f.leaseEnd = end
	case before.Equal(f.leaseEnd):
		f.latest()
	}
	return nil
}

// unlease ends a client's lease. With the last one the grace ends too.
func (f *fn) unlease(id string, now time.Time) {
	delete(f.leases, id)
	f.prune(now)
	f.latest()
	if len(f.leases) == 0 {
		f.graceEnd = time.Time{}
	}
}

func (f *fn) prune(now time.Time) {
	for id, end := range f.leases {
		if !now.Before(end) {
			delete(f.leases, id)
		}
	}
}

func (f *fn) latest() {
	f.leaseEnd = time.Time{}
	for _, end := range f.leases {
		if end.After(f.leaseEnd) {
			f.leaseEnd = end
		}
	}
}

// countLeases returns how many leases are live.
func (f *fn) countLeases(now time.Time) (n int) {
	for _, end := range f.leases {
		if now.Before(end) {
			n++
		}
	}
	return n
}
