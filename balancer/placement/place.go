package placement

import (
	"slices"
	"time"
)

// A Snapshot is where functions of one class (the same kind and labels) can run: the
// hosts that are connected, do not drain, and have the labels and the kind. Its owner makes it anew when
// that changes, not for each run.
type Snapshot struct {
	Hosts []*Host
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
	Start   *Host     // begin a start there as well; nil: none
	Until   time.Time // for Wait: when to ask again though nothing has changed; zero: never
}

// Place decides where the function's next run goes. See design.md.
func Place(s Snapshot, f *Function, r Request, now time.Time) Decision {
	if len(s.Hosts) == 0 {
		return Decision{Verdict: NoHost}
	}
	var best *Site
	var coming int
	var busy bool
	for _, site := range f.Sites {
		h := site.Host
		if slices.Contains(r.Tried, h) {
			continue
		}
		switch {
		case site.State == Starting:
			coming += slots(site) - site.Load
		case site.State != Ready || h.Full || !h.Breaker.Allows(now):
		case site.Load >= slots(site):
			busy = true
		case best == nil || better(f, site, best):
			best = site
		}
	}
	if best != nil {
		return Decision{Verdict: Run, Site: best}
	}
	d := Decision{Verdict: NoRoom}
	if coming > 0 || busy {
		d.Verdict = Wait
	}
	if coming < r.Waiting {
		d.Start = cold(s, f, r, now)
	}
	if d.Start != nil {
		d.Verdict = Wait
	}
	return d
}

func cold(s Snapshot, f *Function, r Request, now time.Time) (best *Host) {
	for _, h := range s.Hosts {
		site := f.At(h)
		if h.Full || !h.Breaker.Allows(now) || slices.Contains(r.Tried, h) || site != nil && site.State != Cold || !roomy(h, f.Need) {
			continue
		}
		if best == nil || colder(f, h, best) {
			best = h
		}
	}
	return best
}

func roomy(h *Host, n Need) bool {
	if h.Memory.Known && h.Memory.Free+h.Memory.Idle < max(n.Memory, 1) {
		return false
	}
	fits := 0
	for _, g := range h.GPUs {
		if !g.Known || g.Free+g.Idle >= n.GPUMemory && (n.GPUMemory > 0 || g.Free+g.Idle >= g.Total) {
			fits++
		}
	}
	return fits >= n.GPUs
}

func colder(f *Function, a, b *Host) bool {
	p, q := present(f, a), present(f, b)
	x, y := a.Load*max(b.CPUs, 1), b.Load*max(a.CPUs, 1)
	return p > q || p == q && (x < y || x == y && rank(f, a) < rank(f, b))
}

func present(f *Function, h *Host) Presence {
	if s := f.At(h); s != nil {
		return s.Present
	}
	return Absent
}

func better(f *Function, a, b *Site) bool {
	x, y := a.Load*slots(b), b.Load*slots(a)
	return x < y || x == y && rank(f, a.Host) < rank(f, b.Host)
}

func slots(s *Site) int {
	if s.Slots > 0 {
		return s.Slots
	}
	return 4 * max(s.Host.CPUs, 1)
}

func rank(f *Function, h *Host) uint64 {
	x := f.Seed ^ h.Seed
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Spare returns a Ready site of the function that is not needed any more, or nil.
func Spare(f *Function, now time.Time) *Site {
	ready := 0
	var oldest *Site
	for _, s := range f.Sites {
		if s.State != Ready {
			continue
		}
		ready++
		if s.Load == 0 && now.Sub(s.UsedAt) > 5*time.Minute && (oldest == nil || s.UsedAt.Before(oldest.UsedAt)) {
			oldest = s
		}
	}
	if ready < 2 {
		return nil
	}
	return oldest
}
