package scaler

import (
	"cmp"
	"slices"
	"time"
)

// A snapshot is what plan decides from.
type snapshot struct {
	max          int           // machines at a time, all pools together
	idle         time.Duration // after which a server that nobody needs is drained
	startTimeout time.Duration // within which a machine must join
	moment       time.Duration // runs that wait no longer are not worth a server
	pools        []poolView
}

// A poolView is what is known of one pool.
type poolView struct {
	known     bool // its driver has said what there is, after all that was done
	calling   bool // a call of its driver is in flight
	asked     int  // machines that were started, and that the driver has not listed yet
	machines  []machineView
	unfit     int       // runs and starts that wait in the balancer because no server fits
	queued    int       // those that wait because all who fit are full, there or at a server
	spare     bool      // a server with the pool's labels has nothing to do
	pressed   time.Time // since when runs wait all the time, or a machine joined last; zero: none waits
	capacity  int       // runs that one server takes at once; 0: not known yet
	notBefore time.Time // no Start before: the last ones failed
}

// A machineView is what is known of one machine.
type machineView struct {
	server    string
	rank      int
	joined    bool      // its server is connected
	since     time.Time // joined: since when nobody needs it; else since when it is missed
	busy      bool      // runs or starts are there
	draining  bool      // nothing is placed there any more
	leaving   bool      // that is the server's own wish, which we cannot take back
	stopping  bool      // it was told to end
	failed    bool      // it will never join, its driver says
	notBefore time.Time // no Stop before: the last one failed
}

// A verb is what is to be done.
type verb string

const (
	start  verb = "start"
	resume verb = "resume" // end a drain
	drain  verb = "drain"
	stop   verb = "stop"
	giveUp verb = "give up" // stop a machine whose server did not join
)

// An action is one thing to do.
type action struct {
	pool   int // its index
	verb   verb
	n      int    // machines, for start
	server string // for the others
}

// plan decides what is to be done now, at most one thing for each pool. It reads
// the snapshot and nothing else. Pools that come first are served first.
func plan(s snapshot, now time.Time) []action {
	var all []action
	room := s.max - total(s)
	for i, p := range s.pools {
		if !p.known || p.calling {
			continue
		}
		a, ok := p.next(s, room, now)
		if !ok {
			continue
		}
		a.pool = i
		room -= a.n
		all = append(all, a)
	}
	return all
}

// total counts all machines, also those that are starting or ending.
func total(s snapshot) (n int) {
	for _, p := range s.pools {
		n += p.asked + len(p.machines)
	}
	return n
}

// next is the most urgent thing to do for the pool.
func (p poolView) next(s snapshot, room int, now time.Time) (action, bool) {
	if m, ok := p.overdue(s, now); ok {
		return action{verb: giveUp, server: m.server}, true
	}
	if n := p.lacks(s, now); n > 0 {
		if m, ok := p.drained(); ok {
			return action{verb: resume, server: m.server}, true
		}
		if n = min(n, room); n > 0 && !now.Before(p.notBefore) {
			return action{verb: start, n: n}, true
		}
	}
	if p.coming(s, now) > 0 {
		return action{}, false // no server ends while another one starts
	}
	if m, ok := p.emptied(now); ok {
		return action{verb: stop, server: m.server}, true
	}
	if m, ok := p.surplus(s, now); ok {
		return action{verb: drain, server: m.server}, true
	}
	return action{}, false
}

// lacks is how many further machines the pool should have. The first call for a
// label starts the first one at once; more come when runs have waited for longer
// than a moment, as many as they fill.
func (p poolView) lacks(s snapshot, now time.Time) int {
	coming := p.coming(s, now)
	if p.unfit > 0 && coming == 0 && !p.up() {
		return 1
	}
	wait := p.unfit + p.queued
	if wait == 0 || p.spare || p.capacity == 0 || p.pressed.IsZero() || now.Sub(p.pressed) < s.moment {
		return 0
	}
	return max(0, (wait+p.capacity-1)/p.capacity-coming)
}

// up reports whether a machine of the pool takes runs.
func (p poolView) up() bool {
	return slices.ContainsFunc(p.machines, func(m machineView) bool { return m.joined && !m.draining && !m.stopping })
}

// coming counts the machines that may still join in time.
func (p poolView) coming(s snapshot, now time.Time) int {
	n := p.asked
	for _, m := range p.machines {
		if !m.joined && !m.stopping && !m.late(s, now) {
			n++
		}
	}
	return n
}

// late reports whether a machine that has not joined is given up.
func (m machineView) late(s snapshot, now time.Time) bool {
	return m.failed || now.Sub(m.since) >= s.startTimeout
}

// drained returns a machine whose drain can be taken back: of those the one that
// would be stopped last.
func (p poolView) drained() (best machineView, ok bool) {
	for _, m := range p.machines {
		if m.joined && m.draining && !m.leaving && !m.stopping && (!ok || m.rank < best.rank) {
			best, ok = m, true
		}
	}
	return best, ok
}

// overdue returns a machine whose server should have joined by now.
func (p poolView) overdue(s snapshot, now time.Time) (machineView, bool) {
	for _, m := range p.machines {
		if !m.joined && !m.stopping && p.last(m) && m.late(s, now) && !now.Before(m.notBefore) {
			return m, true
		}
	}
	return machineView{}, false
}

// emptied returns a machine that is drained and has nothing to do any more.
func (p poolView) emptied(now time.Time) (machineView, bool) {
	for _, m := range p.machines {
		if m.joined && m.draining && !m.stopping && !m.busy && p.last(m) && !now.Before(m.notBefore) {
			return m, true
		}
	}
	return machineView{}, false
}

// surplus returns the machine to drain, when nothing waits and a machine was not
// needed for long enough. Where only the last machine can be stopped it is that one, even
// if another one is idle: its runs will go there.
func (p poolView) surplus(s snapshot, now time.Time) (machineView, bool) {
	if p.unfit+p.queued > 0 {
		return machineView{}, false
	}
	var idle, last machineView
	for _, m := range p.machines {
		if m.draining || m.stopping {
			return machineView{}, false // one after the other
		}
		if m.joined && !m.busy && now.Sub(m.since) >= s.idle && (idle.server == "" || olderIdle(m, idle)) {
			idle = m
		}
		if m.joined && p.last(m) {
			last = m
		}
	}
	if idle.server != "" && !p.last(idle) {
		return last, last.server != ""
	}
	return idle, idle.server != ""
}

func olderIdle(a, b machineView) bool {
	return cmp.Or(cmp.Compare(b.rank, a.rank), a.since.Compare(b.since), cmp.Compare(a.server, b.server)) < 0
}

// last reports whether m can be stopped: no machine that is not ending ranks higher.
func (p poolView) last(m machineView) bool {
	for _, o := range p.machines {
		if o.rank > m.rank && !o.stopping {
			return false
		}
	}
	return true
}
