package balancer

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// reported takes over a status report.
func (b *Balancer) reported(m *member, st function.Status) error {
	st.Servers = withGranted(m.Labels, st.Servers)
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.gone {
		return context.Cause(m.ctx)
	}
	st = m.overlay(st)
	now := time.Now()
	before, first := m.status.Servers, m.reports == 0
	m.reports++
	m.status = st
	roomBefore := placement.Host{Memory: m.host.Memory, GPUs: append(m.rooms[:0], m.host.GPUs...)}
	m.rooms = roomBefore.GPUs
	m.describe(st.Servers)
	m.tally.reported(runsIn(st.Servers))
	m.host.Load = m.load()
	m.host.Heard(now)
	if first || !sameOffer(before, st.Servers) {
		b.offersChanged(m, before)
	} else if hasGrown(&roomBefore, m.host) {
		b.lookAgain()
	}
	b.reportedSites(m, st, now)
	if first {
		b.adopt(m, now)
	}
	b.changed.fire()
	return nil
}

// runsIn is how many runs are there, in flight and waiting.
func runsIn(servers []function.ServerStatus) (n int) {
	for _, s := range servers {
		n += s.Running + s.Queued
	}
	return n
}

// reportedSites takes over what the report says of each function. A function may stand there for
// several servers. It wants the lock.
func (b *Balancer) reportedSites(m *member, st function.Status, now time.Time) {
	for _, h := range m.holders {
		h.said = said{start: h.said.start}
	}
	for i := range st.Functions {
		s := &st.Functions[i]
		h := m.holders[s.ID]
		if f := b.functions[s.ID]; h == nil && f != nil {
			h = holderAt(f, m)
		}
		if h != nil {
			h.said.add(s)
		}
	}
	whole := len(st.Functions) < listedInPart
	for _, h := range m.holders {
		b.reportedSite(h, whole, now)
	}
}

// recall takes over what the last reports say of a function that was not known here when they came, as after
// a restart of ours: it shall be used where it is. It wants the lock.
func (b *Balancer) recall(f *fn, now time.Time) {
	for _, m := range b.members {
		var found *holder
		for i := range m.status.Functions {
			if s := &m.status.Functions[i]; s.ID == f.id {
				found = holderAt(f, m)
				found.said.add(s)
			}
		}
		if found != nil {
			b.reportedSite(found, false, now)
		}
	}
}

// listedInPart is from how many functions on a server's report leaves out some that have no worker.
const listedInPart = 1000

func (d *said) add(s *function.FunctionStatus) {
	d.listed = true
	d.slots += s.Slots
	d.runs += s.Running + s.Queued
	d.usual = max(d.usual, time.Duration(s.Usual)*time.Microsecond)
	d.start = max(d.start, time.Duration(s.Start)*time.Microsecond)
}

// reportedSite takes over what the member says of one function. What we count ourselves, or
// have learned, is believed before it. It wants the lock.
func (b *Balancer) reportedSite(h *holder, whole bool, now time.Time) {
	f := h.f
	h.tally.reported(h.said.runs)
	switch {
	case h.said.listed:
		h.Present = placement.Prepared
	case whole && h.State == placement.Cold && h.Present == placement.Prepared:
		h.Present = placement.HasCode
	}
	if h.said.usual > 0 && f.place.RunTime(h.m.host) == 0 {
		f.place.Ran(h.m.host, h.said.usual)
	}
	if h.said.start > 0 {
		f.place.Start = mean(f.place.Start, scaled(h.said.start, h.m.host.Strength))
	}
	if c, ok := b.classOf(f).fitting[h.m.host]; ok && h.fits {
		h.setSlots(c)
	}
	h.setLoad()
	if f.queue.Len() > 0 && h.State == placement.Ready && h.Load < h.Slots {
		b.serve(f, now)
	}
}

// mean is the moving mean of what several servers say.
func mean(before, latest time.Duration) time.Duration {
	if before == 0 {
		return latest
	}
	return before + (latest-before)/8
}

// scaled is what took d on a machine of that strength, on one of strength 1.
func scaled(d time.Duration, strength float64) time.Duration {
	if strength <= 0 {
		return d
	}
	return time.Duration(float64(d) * strength)
}
