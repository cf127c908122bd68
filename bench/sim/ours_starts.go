package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// start has the function started at a host.
func (o *ours) start(e *entry, h *placement.Host) {
	m, now := o.owner[h], o.time()
	site := e.known.At(h)
	if site == nil {
		site = &placement.Site{Host: h}
		e.known.Add(site)
	}
	if site.State == placement.Starting {
		panic("sim: placement starts a function where it is starting already")
	}
	site.State, site.Began, site.UsedAt = placement.Starting, now, now
	h.Starting++
	h.Breaker.Sent(now)
	take(h, e.known.Need)
	began, session := o.loop.now, m.session
	o.toServer(m, func() {
		m.server.warm(e.f, func(s started) {
			o.fromServer(m, session, func() { o.started(e, site, s, o.loop.now-began) })
		})
	})
}

// take counts what a start will take, until the host reports it itself.
func take(h *placement.Host, n placement.Need) {
	h.Memory.Free -= n.Memory
	for i := range h.GPUs {
		if n.GPUs > 0 && h.GPUs[i].Free >= n.GPUMemory {
			h.GPUs[i].Free -= n.GPUMemory
			return
		}
	}
}

func (o *ours) started(e *entry, site *placement.Site, s started, took time.Duration) {
	site.State, site.Present = placement.Ready, placement.Prepared
	site.Host.Starting--
	site.Host.Breaker.Worked()
	if s.own > 0 {
		e.known.Started(site.Host, s.found, took, s.own)
	}
	o.serve(e)
	o.lookSoon()
}

// reported takes what a server says of itself.
func (o *ours) reported(m *member, r report) {
	h := o.host(m)
	h.Memory, h.GPUs = r.memory, r.gpus
	h.Heard(o.time())
	for _, x := range r.functions {
		o.reportedFunction(h, x)
	}
	o.lookSoon()
}

func (o *ours) reportedFunction(h *placement.Host, x functionReport) {
	known := o.functions[x.f.id].known
	site := known.At(h)
	if site == nil {
		site = &placement.Site{Host: h}
		known.Add(site)
	}
	if site.State == placement.Starting {
		return
	}
	before := site.Slots
	site.Slots, site.Present = x.slots, placement.Prepared
	site.State = placement.Cold
	if x.workers > 0 {
		site.State = placement.Ready
	}
	if site.Slots > before {
		o.serve(o.functions[x.f.id])
	}
}

// lookSoon has all queues looked at; not for each event anew.
func (o *ours) lookSoon() {
	if o.due || len(o.waiting) == 0 {
		return
	}
	o.due = true
	o.loop.after(lookEvery, func() {
		o.due = false
		o.look()
	})
}

// look serves the queues, those of the namespaces first that have had the least.
func (o *ours) look() {
	all := o.loop.now-o.looked >= lookAtAll
	if all {
		o.looked = o.loop.now
	}
	list := slices.Clone(o.waiting)
	slices.SortStableFunc(list, func(a, b *entry) int {
		return cmp.Compare(o.turns.served[a.f.namespace], o.turns.served[b.f.namespace])
	})
	for _, e := range list {
		if all || e.stuck {
			o.serve(e)
		}
	}
	if !all && len(o.waiting) > 0 {
		o.loop.at(o.looked+lookAtAll, o.lookSoon)
	}
}

// shrink gives up what hot functions needed, again and again.
func (o *ours) shrink() {
	o.loop.after(shrinkEvery, func() {
		for _, e := range o.functions {
			if s := placement.Spare(e.known, o.time()); s != nil {
				o.giveUp(e, s)
			}
		}
		o.shrink()
	})
}

func (o *ours) giveUp(e *entry, s *placement.Site) {
	s.State = placement.Cold
	m := o.owner[s.Host]
	o.toServer(m, func() { m.server.forget(e.f) })
}
