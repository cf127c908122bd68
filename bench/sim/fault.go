package main

import "time"

// A fault is what befalls a server.
type fault struct {
	at     time.Duration
	server int
	kind   faultKind
	lasts  time.Duration
	factor float64 // slow: what is left of its speed
}

type faultKind int

const (
	dies     faultKind = iota // its processes end, its connections break; it comes back empty
	vanishes                  // nothing passes between it and the balancer, but it goes on
	slows
)

// silence is after how long without a word a server counts as gone: wire's keep-alive.
const silence = 10 * time.Second

// befall has a fault happen, and end.
func (n *front) befall(x fault) {
	m := n.members[x.server]
	switch x.kind {
	case dies:
		n.loop.at(x.at, func() { n.die(m) })
		n.loop.at(x.at+x.lasts, func() { n.revive(m) })
	case vanishes:
		n.loop.at(x.at, func() { n.vanish(m, x.lasts) })
	case slows:
		n.loop.at(x.at, func() { m.server.setSpeed(x.factor) })
		n.loop.at(x.at+x.lasts, func() { m.server.setSpeed(1) })
	}
}

func (n *front) die(m *member) {
	m.server.crash()
	n.loop.after(m.server.rtt/2, func() { n.left(m) })
}

func (n *front) revive(m *member) {
	m.server.restart()
	n.loop.after(m.server.rtt*3/2, func() { n.joined(m) }) // a TLS connection takes three ways
}

func (n *front) vanish(m *member, lasts time.Duration) {
	back := n.loop.now + lasts
	m.server.reach = back
	if lasts < silence {
		return
	}
	n.loop.after(silence, func() { n.left(m) })
	n.loop.at(back+m.server.rtt*3/2, func() { n.joined(m) })
}

// crash ends all that a server has.
func (s *server) crash() {
	s.up = false
	s.life++
	s.cpu.clear()
	for _, u := range s.units {
		u.clear()
	}
	s.room.spend(-s.room.unused)
	fresh := newAccount(s.loop, s.spec)
	fresh.wasted, fresh.since = s.room.wasted, s.loop.now
	s.room = fresh
	s.held, s.known = make([]*held, len(s.held)), nil
	s.idle, s.wanting, s.namespaces = nil, nil, map[int]int64{}
	s.news.due, s.serving = false, false
}

func (s *server) restart() {
	s.up = true
	s.life++
	s.sweep(s.life)
	s.keepTelling()
	s.changed()
}

// setSpeed makes a server as fast as it is (1), or less.
func (s *server) setSpeed(factor float64) {
	s.cpu.setSpeed(s.strength * factor)
	for _, u := range s.units {
		u.setSpeed(s.gpuSpeed * factor)
	}
}
