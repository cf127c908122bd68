package placement

import "time"

// A Snapshot is where functions of one class (the same kind and labels) can run: the
// hosts that are connected, do not drain, and have the labels and the kind. Its owner makes it anew when
// that changes, not for each run.
type Snapshot struct {
	Hosts []*Host
}

// SnapshotOf makes a Snapshot of hosts.
func SnapshotOf(hosts []*Host) Snapshot { return Snapshot{Hosts: hosts} }

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
	Start   *Host     // begin a start there as well; nil: none
	Until   time.Time // for Wait: when to ask again though nothing has changed; zero: never
}

// Place decides where the function's next run goes. See design.md.
func Place(s Snapshot, f *Function, r Request, now time.Time) Decision {
	if len(s.Hosts) == 0 {
		return Decision{Verdict: NoHost}
	}
	var warm *Site
	var least time.Duration
	starting := 0
	for _, site := range f.Sites {
		if site.State == Starting {
			starting++
		}
		if c := cost(f, site.Host); site.State == Ready && site.free() && site.Host.Breaker.Allows(now) && (warm == nil || c < least) {
			warm, least = site, c
		}
	}
	var cold *Host
	var gap time.Duration
	for _, h := range s.Hosts {
		present := Absent
		if site := f.At(h); site != nil {
			if site.State != Cold {
				continue
			}
			present = site.Present
		}
		if h.Full || !h.Breaker.Allows(now) || !h.room(f.Need) {
			continue
		}
		if c := cost(f, h) + f.StartTime(h, present); cold == nil || c < gap {
			cold, gap = h, c
		}
	}
	d := Decision{Verdict: NoRoom}
	switch {
	case warm != nil:
		d = Decision{Verdict: Run, Site: warm}
		if cold == nil || gap >= least {
			return d
		}
	case len(f.Sites) > 0 && (starting > 0 || cold == nil || r.Waited < gap/4):
		d = Decision{Verdict: Wait, Until: now.Add(max(gap/4-r.Waited, 10*time.Millisecond))}
	case cold != nil:
		d = Decision{Verdict: Wait}
	}
	if cold != nil && starting*max(1, cold.CPUs) < r.Waiting && (d.Verdict == Run || r.Waited >= gap/4 || len(f.Sites) == 0) {
		d.Start = cold
	}
	return d
}

func (s *Site) free() bool {
	if s.Slots == 0 {
		return s.Load < 4*s.Host.CPUs
	}
	return s.Load < s.Slots
}

func cost(f *Function, h *Host) time.Duration {
	crowd := float64(h.Load+1) / float64(max(1, h.CPUs))
	return h.RTT + time.Duration(float64(max(f.RunTime(h), 100*time.Millisecond))*max(1, crowd))
}

func (h *Host) room(n Need) bool {
	if h.Memory.Known && h.Memory.Free+h.Memory.Idle < max(n.Memory, 1) {
		return false
	}
	for _, g := range h.GPUs {
		if n.GPUs > 0 && g.Free+g.Idle >= n.GPUMemory {
			return true
		}
	}
	return n.GPUs == 0
}

// Spare returns a site of the function that is not needed any more, or nil.
func Spare(f *Function, now time.Time) *Site {
	ready := 0
	var idle *Site
	for _, s := range f.Sites {
		if s.State == Ready {
			ready++
			if s.Load == 0 && now.Sub(s.UsedAt) > time.Minute && (idle == nil || s.UsedAt.Before(idle.UsedAt)) {
				idle = s
			}
		}
	}
	if ready < 2 {
		return nil
	}
	return idle
}

// Heard tells that the host has said something: a report, or an answer to a run.
func (h *Host) Heard(time.Time) {}
