package balancer

import (
	"cmp"
	"container/heap"
	"container/list"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// A tenant is a namespace. When functions wait for the same capacity, the tenant goes first that has
// had least of it: start-time fair queueing (Goyal, Vin and Cheng 1996) over tenants instead of packets, as
// MQFQ-Sticky (2025) does over functions. What a tenant has had counts from when it began to wait: who
// had nothing for long has saved nothing.
type tenant struct {
	namespace string
	functions int           // of it, that are known
	had       time.Duration // its virtual time: what its runs and starts were expected to take
	waiting   list.List     // of *fn, those with somebody in a queue; who was served goes to the end
	order     int           // when it began to wait, among equals
}

// tenantOf returns the namespace's tenant, and counts one more function. It wants the lock.
func (b *Balancer) tenantOf(namespace string) *tenant {
	t := b.tenants[namespace]
	if t == nil {
		t = &tenant{namespace: namespace}
		b.tenants[namespace] = t
	}
	t.functions++
	return t
}

// hungers notes that somebody waits for f. It wants the lock.
func (b *Balancer) hungers(f *fn) {
	t := f.tenant
	if f.turn != nil {
		return
	}
	if t.waiting.Len() == 0 {
		b.turns++
		t.had, t.order = max(t.had, b.virtual), b.turns
		b.hungry[t] = struct{}{}
	}
	f.turn = t.waiting.PushBack(f)
}

// sated notes it when nobody waits for f any more. It wants the lock.
func (b *Balancer) sated(f *fn) {
	if f.queue.Len()+f.asking.Len() > 0 || f.turn == nil {
		return
	}
	f.tenant.waiting.Remove(f.turn)
	f.turn, f.wake, f.scaled = nil, time.Time{}, false
	b.wakeAt(f)
	if f.tenant.waiting.Len() == 0 {
		delete(b.hungry, f.tenant)
	}
}

// charge counts what f's tenant gets while others wait. It wants the lock.
func (b *Balancer) charge(f *fn, cost time.Duration) {
	if len(b.hungry) == 0 {
		return
	}
	t := f.tenant
	if f.turn == nil {
		t.had = max(t.had, b.virtual) + cost
		return
	}
	b.virtual = max(b.virtual, t.had)
	t.had += cost
}

// What a run and a start count of which nothing is known.
const (
	priorRun   = 100 * time.Millisecond
	priorStart = 2 * time.Second
)

func costOf(f *fn, h *holder) time.Duration {
	return cmp.Or(f.place.RunTime(h.m.host), priorRun)
}

func startCostOf(f *fn, m *member, found placement.Presence) time.Duration {
	return cmp.Or(f.place.StartTime(m.host, found), priorStart)
}

// serveAll serves all who wait, the tenant first that has had least, one at a time, until nobody can be
// served or enough says so. It wants the lock.
func (b *Balancer) serveAll(now time.Time, enough func() bool) {
	r := b.round()
	for len(r) > 0 && !enough() {
		t := r[0]
		f := t.left[len(t.left)-1]
		if !b.serveTurn(f, now) {
			t.left = t.left[:len(t.left)-1]
		} else if n := len(t.left); n > 1 { // the next turn is another function's
			copy(t.left[1:], t.left[:n-1])
			t.left[0] = f
		}
		if len(t.left) == 0 {
			heap.Pop(&r)
		} else {
			heap.Fix(&r, 0)
		}
	}
}

// serveTurn serves one of those who wait for f. It wants the lock.
func (b *Balancer) serveTurn(f *fn, now time.Time) bool {
	f.wake = time.Time{}
	served := b.serveOne(f, now)
	b.wakeAt(f)
	if served && f.turn != nil {
		f.tenant.waiting.MoveToBack(f.turn)
	}
	return served
}

// A turn is a tenant in a round, with those of its functions that may still be served; the next
// one is the last.
type turn struct {
	*tenant
	left []*fn
}

// A round is a heap of tenants, by what they have had.
type round []*turn

func (b *Balancer) round() round {
	r := make(round, 0, len(b.hungry))
	for t := range b.hungry {
		next := &turn{tenant: t, left: make([]*fn, 0, t.waiting.Len())}
		for e := t.waiting.Back(); e != nil; e = e.Prev() {
			next.left = append(next.left, e.Value.(*fn))
		}
		r = append(r, next)
	}
	heap.Init(&r)
	return r
}

func (r round) Len() int { return len(r) }
func (r round) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(r[i].had, r[j].had), cmp.Compare(r[i].order, r[j].order)) < 0
}
func (r round) Swap(i, j int) { r[i], r[j] = r[j], r[i] }

// Push is for container/heap.
func (r *round) Push(x any) { *r = append(*r, x.(*turn)) }

// Pop is for container/heap.
func (r *round) Pop() any {
	last := len(*r) - 1
	t := (*r)[last]
	*r = (*r)[:last]
	return t
}
