package main

import "time"

// A front is the balancer's part that all policies share: the members, the network to
// them, the runs on their way, and how each ends.
type front struct {
	loop    *loop
	trace   *trace
	members []*member
	policy  policy
	tally   tally
}

// A policy decides where runs go.
type policy interface {
	// arrived is asked to send the run somewhere, sooner or later, or to end it.
	arrived(r *run)
	// answered tells how a dispatch ended. The front has ended the run, unless the
	// answer is busy: then the run is the policy's again.
	answered(d *dispatch, a answer)
	joined(m *member)
	left(m *member)
}

// A listener is a policy that wants to know what servers report.
type listener interface {
	reported(m *member, r report)
}

// A member is a server as the balancer sees it.
type member struct {
	server  *server
	up      bool // connected
	session int  // counts its connections: what was sent over an earlier one is void
	load    int  // runs there
	flights []*dispatch
}

// A dispatch is a run on its way to, at, or from a member.
type dispatch struct {
	run    *run
	member *member
	index  int // in flights
	sent   time.Duration
}

func newFront(t *trace, choose func(*front) policy) *front {
	n := &front{loop: &loop{}, trace: t}
	for i, s := range t.servers {
		n.members = append(n.members, &member{server: newServer(n.loop, i, s, len(t.functions)), up: true})
	}
	n.policy = choose(n)
	for _, m := range n.members {
		n.policy.joined(m)
		n.listen(m)
	}
	for _, x := range t.faults {
		n.befall(x)
	}
	return n
}

// listen takes a member's reports to the policy.
func (n *front) listen(m *member) {
	l, ok := n.policy.(listener)
	if !ok {
		return
	}
	m.server.news.send = func(r report) {
		n.fromServer(m, m.session, func() { l.reported(m, r) })
	}
	m.server.keepTelling()
	m.server.changed()
}

// toServer does something at the member's server when word of it has reached it. Over a
// connection that has broken by then nothing comes.
func (n *front) toServer(m *member, do func()) {
	life, session := m.server.life, m.session
	n.loop.at(max(n.loop.now, m.server.reach)+m.server.rtt/2, func() {
		if m.server.life == life && m.session == session {
			do()
		}
	})
}

// fromServer does something at the balancer when word of it has come from the server.
func (n *front) fromServer(m *member, session int, do func()) {
	n.loop.at(max(n.loop.now, m.server.reach)+m.server.rtt/2, func() {
		if m.up && m.session == session {
			do()
		}
	})
}

// send sends a run to a member. Its answer comes to the policy, unless the connection breaks.
func (n *front) send(r *run, m *member) {
	d := &dispatch{run: r, member: m, index: len(m.flights), sent: n.loop.now}
	m.flights = append(m.flights, d)
	m.load++
	session := m.session
	n.toServer(m, func() {
		m.server.arrive(r, func(a answer) {
			n.fromServer(m, session, func() { n.answer(d, a) })
		})
	})
}

func (n *front) answer(d *dispatch, a answer) {
	m := d.member
	last := m.flights[len(m.flights)-1]
	m.flights[d.index], last.index = last, d.index
	m.flights = m.flights[:len(m.flights)-1]
	m.load--
	if !a.busy {
		d.run.spent = spentOn(d, a)
		n.end(d.run, a.outcome)
	}
	n.policy.answered(d, a)
}

// left is called when a member's connection has broken. Its runs may have run: they are lost.
func (n *front) left(m *member) {
	if !m.up {
		return
	}
	m.up = false
	m.session++
	flights := m.flights
	m.flights, m.load = nil, 0
	n.policy.left(m)
	for _, d := range flights {
		a := answer{outcome: lost}
		n.end(d.run, lost)
		n.policy.answered(d, a)
	}
}

func (n *front) joined(m *member) {
	if m.up || !m.server.up {
		return
	}
	m.up = true
	n.policy.joined(m)
	m.server.changed()
}

// end ends a run, once.
func (n *front) end(r *run, o outcome) {
	if r.ended {
		panic("sim: a run has ended twice")
	}
	r.ended = true
	n.tally.count(r, o, n.loop.now-r.at)
}

// simulate runs the trace until each call has ended.
func (n *front) simulate() result {
	next := 0
	var arrive func()
	arrive = func() {
		c := n.trace.calls[next]
		next++
		if next < len(n.trace.calls) {
			n.loop.at(n.trace.calls[next].at, arrive)
		}
		n.policy.arrived(&run{call: c, f: n.trace.functions[c.fn]})
	}
	if len(n.trace.calls) > 0 {
		n.loop.at(n.trace.calls[0].at, arrive)
	}
	for n.tally.ended < len(n.trace.calls) && n.loop.step() {
	}
	return n.result()
}
