package placement

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// dice make a state of a fuzzer's bytes: each byte answers one question, and when they are used up, all answers are 0.
type dice struct{ bytes []byte }

func (d *dice) upTo(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	v := int(d.bytes[0]) % (n + 1)
	d.bytes = d.bytes[1:]
	return v
}

func (d *dice) one(of ...int64) int64 { return of[d.upTo(len(of)-1)] }

func (d *dice) room() Room {
	return Room{Known: d.upTo(3) > 0, Total: d.one(0, 1<<30, math.MaxInt64/2), Free: d.one(0, 1<<30, -1<<30, math.MaxInt64/2), Idle: d.one(0, 1<<20, 1<<30)}
}

func (d *dice) host(seed uint64) *Host {
	h := &Host{Seed: seed, Class: []string{"", "a", "b"}[d.upTo(2)], CPUs: int(d.one(0, 1, 4, 64, -1)), Strength: float64(d.one(0, 1, 100, -3)),
		RTT: time.Duration(d.one(0, 1, 1e6, 1e12, -5)), Load: int(d.one(0, 1, 7, 1000)), Starting: d.upTo(3), Full: d.upTo(5) == 1, Memory: d.room()}
	h.Breaker.Seed = seed
	if d.upTo(2) == 1 {
		h.Heard(after(-time.Duration(d.one(0, 1e9, 2e9, 1e10))))
		h.Load += int(d.one(0, 0, 100))
	}
	for range d.upTo(6) {
		h.Breaker.Failed(after(-time.Duration(d.upTo(20)) * time.Second))
	}
	for range d.upTo(4) {
		h.Breaker.Left(after(-time.Duration(d.upTo(20)) * time.Second))
	}
	if d.upTo(4) == 1 {
		h.Breaker.Sent(testNow)
	}
	for range d.upTo(2) {
		h.GPUs = append(h.GPUs, d.room())
	}
	return h
}

func (d *dice) function(hosts []*Host) *Function {
	f := &Function{Seed: uint64(d.upTo(255)), Start: time.Duration(d.one(0, 1e6, 1e9, 6e10, math.MaxInt64)),
		Need: Need{Memory: d.one(0, 1<<20, 1<<40), GPUs: d.upTo(2), GPUMemory: d.one(0, 1<<20)}}
	for range d.upTo(10) {
		if len(hosts) == 0 {
			break
		}
		h := hosts[d.upTo(len(hosts)-1)]
		f.Ran(h, time.Duration(d.one(0, 1, 1e6, 1e9, -1, math.MaxInt64)))
		f.Started(h, Presence(d.upTo(2)), time.Duration(d.one(1e9, 0, 1e11, math.MaxInt64)), time.Duration(d.one(0, 1e8, math.MaxInt64)))
	}
	return f
}

// scene makes a state of anything that could be, and more.
func (d *dice) scene() (all []*Host, s Snapshot, f *Function, r Request) {
	for i := range d.upTo(12) {
		all = append(all, d.host(mix(uint64(i)+1)))
	}
	f = d.function(all)
	for _, h := range all {
		if d.upTo(4) != 4 {
			s.Hosts = append(s.Hosts, h)
		}
		if d.upTo(2) > 0 {
			f.Add(&Site{Host: h, State: State(d.upTo(2)), Present: Presence(d.upTo(2)), Load: d.upTo(9), Slots: d.upTo(8),
				Began: after(-time.Duration(d.one(0, 1e9, 1e14, -1e9)))})
		}
		if d.upTo(6) == 1 {
			r.Tried = append(r.Tried, h)
		}
	}
	r.Waiting, r.Waited = 1+d.upTo(100), time.Duration(d.one(0, 1e6, 1e9, 1e12))
	return all, s, f, r
}

func FuzzPlace(f *testing.F) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		seed := make([]byte, rng.IntN(400))
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		_, s, fn, r := (&dice{bytes}).scene()
		d := Place(s, fn, r, testNow)
		checkDecision(t, s, fn, r, d)
		checkProgress(t, s, fn, r, d)
		checkFlapping(t, s, fn, r, d)
		checkOrder(t, s, fn, r, d)
		if spare := Spare(fn, testNow); spare != nil && (spare.State != Ready || spare.Load > 0) {
			t.Errorf("%+v is spare", spare)
		}
	})
}

// usableHost reports what Place may count on, worked out another way than Place does.
func usableHost(s Snapshot, r Request, h *Host) bool {
	return slices.Contains(s.Hosts, h) && !slices.Contains(r.Tried, h) && !h.Full && (h.Breaker.Allows(testNow) || h.Breaker.Flapping()) && !h.quiet(testNow)
}

// checkFlapping checks that a host that is set aside because it flaps is used only where no other is left.
func checkFlapping(t *testing.T, s Snapshot, f *Function, r Request, d Decision) {
	host := d.Start
	if host == nil && d.Site != nil {
		host = d.Site.Host
	}
	if host == nil || host.Breaker.Allows(testNow) {
		return
	}
	for _, h := range s.Hosts {
		if !h.Breaker.Allows(testNow) {
			r.Tried = append(r.Tried, h)
		}
	}
	if d := Place(s, f, r, testNow); d.Verdict != NoRoom {
		t.Errorf("a host that flaps is used, though without it the answer is %+v", d)
	}
}

// checkDecision holds a decision to what must hold for any.
func checkDecision(t *testing.T, s Snapshot, f *Function, r Request, d Decision) {
	if (d.Verdict == NoHost) != (len(s.Hosts) == 0) {
		t.Errorf("verdict %v with %d hosts", d.Verdict, len(s.Hosts))
	}
	if (d.Verdict == Run) != (d.Site != nil) {
		t.Fatalf("verdict %v with site %v", d.Verdict, d.Site)
	}
	if w := d.Site; w != nil && (w.State != Ready || w.Load >= w.slots() || !usableHost(s, r, w.Host)) {
		t.Errorf("run at %+v", w)
	}
	if h := d.Start; h != nil {
		site := f.At(h)
		if site != nil && site.State != Cold {
			t.Errorf("a start where the state is %v", site.State)
		}
		if lack, _ := f.Need.lacks(h); lack != nothing || !usableHost(s, r, h) {
			t.Errorf("a start at a host that cannot be used: %+v", h)
		}
		if d.Verdict != Run && d.Verdict != Wait {
			t.Errorf("a start with verdict %v", d.Verdict)
		}
	}
	if !d.Until.IsZero() && !d.Until.After(testNow) {
		t.Errorf("until %v, which is over", d.Until.Sub(testNow))
	}
}

// checkProgress checks that no queue stands still for ever: while a host can be used, a run begins,
// or something is on its way or in use, or Place says when to ask again.
func checkProgress(t *testing.T, s Snapshot, f *Function, r Request, d Decision) {
	if d.Verdict == Wait && d.Start == nil && d.Until.IsZero() {
		for _, site := range f.Sites {
			if site.State == Starting || site.State == Ready && (site.Load > 0 || site.Host.Full) {
				return
			}
		}
		t.Error("it waits for nothing")
	}
	for _, h := range s.Hosts {
		if d.Verdict == NoRoom && ObstacleAt(f, h, testNow) == NoObstacle && !slices.Contains(r.Tried, h) {
			t.Errorf("no room, though this host can be used: %+v", h)
		}
	}
	if d.Verdict == NoRoom && d.Until.IsZero() {
		for _, h := range s.Hosts {
			if !h.Breaker.Allows(testNow) || h.quiet(testNow) {
				t.Error("a host that is set aside will be tried again, and it does not say when")
			}
		}
	}
}

// checkOrder checks that the same state gives the same answer, in whatever order it is kept.
func checkOrder(t *testing.T, s Snapshot, f *Function, r Request, d Decision) {
	slices.Reverse(s.Hosts)
	slices.Reverse(f.Sites)
	if again := Place(SnapshotOf(s.Hosts), f, r, testNow); again != d {
		t.Errorf("%+v, and in another order %+v", d, again)
	}
}

// FuzzNewHost checks the promise of rendezvous hashing: where all hosts are equal, one more takes
// functions to itself and moves no others.
func FuzzNewHost(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint8(5))
	f.Fuzz(func(t *testing.T, function, host uint64, count uint8) {
		fn := &Function{Seed: function}
		var hosts []*Host
		for i := range int(count) + 1 {
			hosts = append(hosts, &Host{Seed: mix(uint64(i) + 1)})
		}
		r := Request{Waiting: 1}
		before := Place(Snapshot{Hosts: hosts}, fn, r, testNow).Start
		added := &Host{Seed: host}
		after := Place(Snapshot{Hosts: append(hosts, added)}, fn, r, testNow).Start
		if after != before && after != added {
			t.Error("the function went from one old host to another")
		}
	})
}

// FuzzBreaker checks that a breaker always comes to try its host again, and lets one at a time through then.
func FuzzBreaker(f *testing.F) {
	f.Add([]byte{0, 0, 0, 9, 2, 1, 0, 0, 0, 200, 2, 0})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		var b Breaker
		now := testNow
		for _, op := range bytes {
			switch op % 4 {
			case 0:
				b.Failed(now)
			case 1:
				b.Worked()
			case 2:
				open := !b.RetryAt().IsZero()
				b.Sent(now)
				if open && b.Allows(now) {
					t.Fatal("two probes at a time")
				}
			default:
				now = now.Add(time.Duration(op) * 100 * time.Millisecond)
			}
			if wait := b.RetryAt().Sub(now); wait > longSetAside*5/4 {
				t.Fatalf("set aside for %v", wait)
			}
			if at := b.RetryAt(); !at.IsZero() && !b.Allows(at) {
				t.Fatal("closed at RetryAt")
			}
		}
	})
}
