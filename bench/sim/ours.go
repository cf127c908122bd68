package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// ours is the balancer around placement.Place: a queue for each function, from which a run goes to
// a server when a slot is free there; starts of its own; learning; shrinking.
type ours struct {
	*front
	hosts     []*placement.Host // by member.server.id
	owner     map[*placement.Host]*member
	functions []*entry // by function.id
	snapshots map[bool]placement.Snapshot
	waiting   []*entry // that have a queue
	turns     turns
	due       bool          // the waiting ones are about to be looked at
	looked    time.Duration // when all of them were
}

// An entry is what the balancer has of one function.
type entry struct {
	f     *function
	known *placement.Function
	queue []*run
	alarm time.Duration // when it is asked again, if nothing changes
	stuck bool          // it found no room: any server's news may matter to it
}

const (
	lookEvery   = 10 * time.Millisecond  // between two looks at the queues that found no room, at least
	lookAtAll   = 100 * time.Millisecond // likewise at all queues
	shrinkEvery = 2 * time.Second
	triedFor    = time.Second // then a server that refused a run may be asked again
)

func newOurs(n *front) *ours {
	o := &ours{front: n, owner: map[*placement.Host]*member{}, snapshots: map[bool]placement.Snapshot{}}
	for i, m := range n.members {
		s := m.server
		h := &placement.Host{
			Seed: hash(uint64(i), 0, 4), Class: fmt.Sprintf("%.2f/%d/%.2f", s.strength, min(s.gpus, 1), s.gpuSpeed),
			CPUs: s.cpus, Strength: s.strength, RTT: s.rtt,
		}
		h.Memory, h.GPUs = s.room.rooms()
		o.hosts = append(o.hosts, h)
		o.owner[h] = m
	}
	for _, f := range n.trace.functions {
		need := placement.Need{Memory: f.memory, GPUMemory: f.gpuMemory}
		if f.gpu {
			need.GPUs = 1
		}
		o.functions = append(o.functions, &entry{f: f, known: &placement.Function{Seed: hash(uint64(f.id), 0, 5), Need: need}})
	}
	o.turns = turns{served: map[int]float64{}}
	o.shrink()
	return o
}

func (o *ours) time() time.Time { return time.Unix(0, 0).Add(o.loop.now) }

func (o *ours) host(m *member) *placement.Host { return o.hosts[m.server.id] }

// joined, left: the snapshots are made anew.
func (o *ours) joined(m *member) {
	o.host(m).Breaker.Back(o.time())
	o.gather()
	o.lookSoon()
}

func (o *ours) left(m *member) {
	h := o.host(m)
	h.Breaker.Left(o.time())
	h.Load, h.Starting = 0, 0
	for _, e := range o.functions {
		e.known.Remove(h)
	}
	o.gather()
	o.lookSoon()
}

func (o *ours) gather() {
	for _, gpu := range []bool{false, true} {
		var list []*placement.Host
		for _, m := range o.members {
			if m.up && (!gpu || m.server.gpus > 0) {
				list = append(list, o.host(m))
			}
		}
		o.snapshots[gpu] = placement.SnapshotOf(list)
	}
}

// arrived puts the run into its function's queue.
func (o *ours) arrived(r *run) {
	e := o.functions[r.f.id]
	if len(e.queue) >= queueLimit {
		o.end(r, refused)
		return
	}
	o.enqueue(e, r, len(e.queue))
	o.loop.at(r.deadline(), func() {
		if i := slices.Index(e.queue, r); i >= 0 {
			o.dequeue(e, i)
			o.end(r, refused)
		}
	})
	o.serve(e)
}

func (o *ours) enqueue(e *entry, r *run, at int) {
	if len(e.queue) == 0 {
		o.waiting = append(o.waiting, e)
		o.turns.come(e.f.namespace)
	}
	e.queue = slices.Insert(e.queue, at, r)
}

func (o *ours) dequeue(e *entry, at int) *run {
	r := e.queue[at]
	e.queue = slices.Delete(e.queue, at, at+1)
	if len(e.queue) == 0 {
		i := slices.Index(o.waiting, e)
		o.waiting = slices.Delete(o.waiting, i, i+1)
		o.turns.leave(e.f.namespace)
	}
	return r
}

// serve sends off what of the function's queue can be.
func (o *ours) serve(e *entry) {
	for len(e.queue) > 0 {
		r := e.queue[0]
		d := placement.Place(o.snapshots[e.f.gpu], e.known, o.request(e, r), o.time())
		if d.Start != nil {
			o.start(e, d.Start)
		}
		e.stuck = d.Verdict == placement.NoRoom || d.Verdict == placement.NoHost
		if d.Verdict == placement.Run {
			o.dispatch(e, o.dequeue(e, 0), d.Site)
			continue
		}
		if d.Start == nil {
			o.askAgain(e, d.Until)
			return
		}
	}
}

func (o *ours) request(e *entry, r *run) placement.Request {
	q := placement.Request{Waited: o.loop.now - r.at, Waiting: len(e.queue)}
	for _, m := range r.tried {
		q.Tried = append(q.Tried, o.host(m))
	}
	return q
}

func (o *ours) askAgain(e *entry, until time.Time) {
	if until.IsZero() {
		return
	}
	at := max(o.loop.now+time.Millisecond, until.Sub(time.Unix(0, 0)))
	if e.alarm > o.loop.now && e.alarm <= at {
		return
	}
	e.alarm = at
	o.loop.at(at, func() {
		if e.alarm == at {
			e.alarm = 0
			o.serve(e)
		}
	})
}

// dispatch sends a run to a site that has a slot free.
func (o *ours) dispatch(e *entry, r *run, s *placement.Site) {
	now := o.time()
	s.Load++
	s.UsedAt = now
	s.Host.Load++
	s.Host.Breaker.Sent(now)
	o.turns.took(e.f.namespace, e.known.RunTime(s.Host))
	o.send(r, o.owner[s.Host])
}

func (o *ours) answered(d *dispatch, a answer) {
	e, h := o.functions[d.run.f.id], o.host(d.member)
	if !d.member.up {
		return // its sites are gone, and counted nothing any more
	}
	h.Load--
	h.Heard(o.time())
	site := e.known.At(h)
	if site != nil {
		site.Load--
	}
	o.learn(e, h, d, a)
	if a.busy {
		o.again(e, d, site)
	}
	o.serve(e)
	o.lookSoon()
}

func (o *ours) learn(e *entry, h *placement.Host, d *dispatch, a answer) {
	h.Answered(o.loop.now - d.sent - a.inside)
	h.Breaker.Worked()
	if a.outcome == finished {
		e.known.Ran(h, a.took)
	}
}

// again takes a run back that its server had no room for.
func (o *ours) again(e *entry, d *dispatch, site *placement.Site) {
	if site != nil {
		site.Slots = max(1, site.Load)
	}
	d.run.tried = append(d.run.tried, d.member)
	o.enqueue(e, d.run, 0)
	o.loop.after(triedFor, func() {
		d.run.tried = nil
		o.serve(e)
	})
}
