package placement

import (
	"slices"
	"strings"
	"time"
)

// A Snapshot is where functions of one class (the same kind and labels) can run: the
// hosts that are connected, do not drain, and have the labels and the kind. Its owner makes it anew when
// that changes, not for each run. A site at a host that is not in it counts as if it were not there.
type Snapshot struct {
	Hosts []*Host
	has   map[*Host]struct{} // the same; nil: look through Hosts
}

// SnapshotOf makes a Snapshot of the hosts that is fast to look through: it finds a host without looking
// at all of them, and hosts of one class stand together.
func SnapshotOf(hosts []*Host) Snapshot {
	s := Snapshot{Hosts: slices.Clone(hosts), has: make(map[*Host]struct{}, len(hosts))}
	slices.SortStableFunc(s.Hosts, func(a, b *Host) int { return strings.Compare(a.Class, b.Class) })
	for _, h := range hosts {
		s.has[h] = struct{}{}
	}
	return s
}

func (s *Snapshot) contains(h *Host) bool {
	if s.has == nil {
		return slices.Contains(s.Hosts, h)
	}
	_, ok := s.has[h]
	return ok
}

// A Request is the run at the head of a function's queue. The whole queue stands behind it.
type Request struct {
	Tried   []*Host       // hosts that refused this run
	Waited  time.Duration // for how long it has waited in the queue
	Waiting int           // runs in the queue, this one included; at least 1
}

// A Verdict says what Place decided.
type Verdict int

// The verdicts.
const (
	Run    Verdict = iota // run at Decision.Site, which is Ready and has a free slot
	Wait                  // stay in the queue until something changes, or until Decision.Until
	NoRoom                // every host lacks room, has its breaker open or refused; nothing of it is on its way
	NoHost                // the snapshot has no host
)

// A Decision is what Place answers.
type Decision struct {
	Verdict Verdict
	Site    *Site     // for Run
	Start   *Host     // begin a start there as well; nil: none. Then ask again: there may be more to start.
	Until   time.Time // for Wait and NoRoom: when to ask again though nothing has changed; zero: never
}

// Place decides where the function's next run goes. See design.md.
func Place(s Snapshot, f *Function, r Request, now time.Time) Decision {
	if len(s.Hosts) == 0 {
		return Decision{Verdict: NoHost}
	}
	q := question{snapshot: s, r: r, now: now, pricer: price(f)}
	d, flaps := q.answer()
	if d.Verdict != NoRoom || !flaps {
		return d
	}
	q.last = true
	if again, _ := q.answer(); again.Verdict != NoRoom {
		return again
	}
	return d
}

// answer decides with the hosts that the question may use. Where no host is left, it says whether some are set
// aside that flap.
func (q *question) answer() (d Decision, flaps bool) {
	if site := q.warmest(); site != nil {
		start, wait := q.better(site)
		if wait {
			return Decision{Verdict: Wait, Start: start, Until: q.now.Add(lookAgain)}, false
		}
		return Decision{Verdict: Run, Site: site, Start: start}, false
	}
	c := q.coldest()
	q.lookAtSites()
	if c.host == nil {
		return q.nowhere(c), c.flaps
	}
	return q.orStart(c), false
}

// orStart lets the run wait for a slot, or for a start at the candidate.
func (q *question) orStart(c candidate) Decision {
	gap := q.gap(c)
	if q.pays(gap) {
		return Decision{Verdict: Wait, Start: c.host, Until: q.wake}
	}
	if q.busy == 0 || q.starting > 0 {
		return Decision{Verdict: Wait, Until: q.wake}
	}
	left := inSeconds(patience*gap) - q.r.Waited
	if left <= 0 {
		return Decision{Verdict: Wait, Start: c.host, Until: q.wake}
	}
	return Decision{Verdict: Wait, Until: sooner(q.wake, q.now.Add(left), q.now)}
}
