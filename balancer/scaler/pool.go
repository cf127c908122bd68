package scaler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// A pool is a Pool and what is known of it. Run's goroutine owns it, except for
// what is atomic.
type pool struct {
	Pool
	known     bool
	stale     bool // something was done since the last list
	calling   bool
	listAt    time.Time // when to list next
	asked     int
	askedAt   time.Time
	machines  map[string]*machine
	unfit     int
	queued    int
	spare     bool
	odd       string // a server of ours that joined without all the labels; empty: none
	pressed   time.Time
	capacity  int
	failures  int // in a row
	notBefore time.Time

	refuse  bool                                 // refusing has just begun, so that who waits has to ask again
	closed  atomic.Int64                         // nobody waits for it until then, in Unix nanoseconds: starts fail all the time
	trouble atomic.Pointer[string]               // why no server comes; nil: no reason is known
	lacks   atomic.Pointer[map[string]time.Time] // kinds that its servers lack, until when that is believed
}

func newPool(p Pool) *pool { return &pool{Pool: p, machines: map[string]*machine{}} }

// wants takes over a demand. It reports whether the pool will do something about
// it, and whether it has just found out that it cannot.
func (p *pool) wants(d Demand, now time.Time) (taken, lacking bool) {
	if !p.serves(d.Labels) || p.isLacking(d.Kind, now) {
		return false, false
	}
	if p.hasAny(d.Lacking) {
		p.lack(d.Kind, now)
		return false, true
	}
	if d.Full {
		p.queued += d.Waiting
	} else {
		p.unfit += d.Waiting
	}
	return p.failures == 0, false
}

// press notes since when something waits all the time. Who has just come gets a
// moment to take its share.
func (p *pool) press(came bool, now time.Time) {
	switch {
	case p.unfit+p.queued == 0:
		p.pressed = time.Time{}
	case p.pressed.IsZero() || came:
		p.pressed = now
	}
}

// seeServers looks at the servers that have the pool's labels, its own and others.
// It reports whether a machine has joined.
func (p *pool) seeServers(servers []Server, now time.Time) (came bool) {
	p.unfit, p.queued, p.spare = 0, 0, false
	running, n, odd := 0, 0, ""
	mine := map[*machine][]Server{}
	for _, s := range servers {
		m := p.of(s)
		if m != nil {
			mine[m] = append(mine[m], s)
		}
		if !has(s.Labels, p.Labels) {
			if m != nil {
				odd = s.Name
			}
			continue
		}
		p.queued += s.Queued
		if s.Draining || s.Aside {
			continue // it is no help
		}
		p.spare = p.spare || s.Running+s.Queued == 0
		running, n = running+s.Running, n+1
	}
	if n > 0 && !p.spare && running > 0 {
		p.capacity = max(1, running/n)
	}
	for _, m := range p.machines {
		came = m.see(mine[m], now) || came
	}
	if came {
		p.failures, p.notBefore = 0, time.Time{}
		p.trouble.Store(nil)
		p.closed.Store(0)
	}
	p.isOdd(odd)
	return came
}

// isOdd notes whether a server of ours has joined without all the pool's labels: what waits does not get it, and
// shall be told why.
func (p *pool) isOdd(name string) {
	switch {
	case name != "":
		p.say(fmt.Sprintf("server %s was started for it, and has joined without all of these labels", name))
	case p.odd != "":
		p.trouble.Store(nil)
	}
	p.odd = name
}

// of returns the machine that runs the server; nil if it is none of ours.
func (p *pool) of(s Server) *machine {
	if m := p.machines[s.Name]; m != nil {
		return m
	}
	return p.machines[s.ID]
}

// hasAny reports whether one of the servers is a machine of the pool.
func (p *pool) hasAny(servers []string) bool {
	return slices.ContainsFunc(servers, func(name string) bool { return p.machines[name] != nil })
}

// view is what plan sees of the pool.
func (p *pool) view() poolView {
	v := poolView{
		known: p.known && !p.stale, calling: p.calling, asked: p.asked, unfit: p.unfit, queued: p.queued, spare: p.spare,
		pressed: p.pressed, capacity: p.capacity, notBefore: p.notBefore,
	}
	for _, m := range p.sorted() {
		v.machines = append(v.machines, machineView{
			server: m.server, rank: m.rank, joined: m.joined, since: m.since, busy: m.busy, draining: m.draining,
			leaving: m.leaving, stopping: m.stopping, failed: m.failed, notBefore: m.notBefore,
		})
	}
	return v
}

func (p *pool) sorted() []*machine {
	return slices.SortedFunc(maps.Values(p.machines), func(a, b *machine) int { return cmp.Compare(a.server, b.server) })
}

const (
	firstPause = time.Second     // before a Start is tried again; doubles
	maxPause   = 5 * time.Minute // the longest
)

// patience is after how many failures in a row what waits is refused. Who comes after the
// pause is the next try.
const patience = 3

// failed counts a start that came to nothing.
func (p *pool) failed(now time.Time, why string) {
	pause := maxPause
	if p.failures < 9 { // 1 s << 9 is more
		pause = min(maxPause, firstPause<<p.failures)
	}
	p.failures++
	p.notBefore = now.Add(pause)
	if p.failures >= patience {
		p.refuse = true
		p.closed.Store(p.notBefore.UnixNano())
	}
	p.say(why)
}

func (p *pool) say(why string) { p.trouble.Store(&why) }
