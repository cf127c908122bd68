package invoker

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A yard is a plan with a clock that the test sets, and what has become of those who asked.
type yard struct {
	t    testing.TB
	p    *plan
	now  time.Time
	asks map[string]*ask
}

func newYard(t testing.TB, memory int, prewarm ...Prewarm) *yard {
	now := time.Unix(1000, 0)
	return &yard{t: t, p: newPlan(memory, prewarm, now), now: now, asks: map[string]*ask{}}
}

func wantOf(action string, memory, slots int) want {
	return want{key: key{"guest", action, "", 1}, base: base{kind: "x", memory: memory, concurrent: slots > 1}, slots: slots}
}

// ask asks under a name, and returns what was granted at once, if anything was.
func (y *yard) ask(name string, w want) *grant {
	y.asks[name] = &ask{want: w}
	y.p.add(y.asks[name], y.now)
	return y.take()[name]
}

// take returns what was granted since it was asked last, by names.
func (y *yard) take() map[string]*grant {
	got := map[string]*grant{}
	out := y.p.take()
	for _, g := range out.grants {
		for name, a := range y.asks {
			if a == g.ask {
				got[name] = &g.grant
				delete(y.asks, name)
			}
		}
	}
	for _, b := range out.kill {
		y.p.gone(b, y.now)
	}
	if len(out.kill) > 0 {
		for name, g := range y.take() {
			got[name] = g
		}
	}
	return got
}

func (y *yard) cold(name string, w want) *box {
	y.t.Helper()
	g := y.ask(name, w)
	if g == nil || !g.cold {
		y.t.Fatalf("%s: %+v, want a new container", name, g)
	}
	y.p.started(g.box, y.now)
	return g.box
}

func (y *yard) release(b *box) map[string]*grant {
	y.p.release(b, true, y.now)
	return y.take()
}

func TestPlanReusesWhatWasUsedLast(t *testing.T) {
	y := newYard(t, 1024)
	w := wantOf("/g/a", 256, 1)
	one, two := y.cold("1", w), y.cold("2", w)
	y.release(two)
	y.release(one)
	if b := y.p.quick(&w, y.now); b != one {
		t.Error("not the one that was used last")
	}
	w.fresh = true
	if g := y.ask("3", w); g == nil || !g.cold || g.box == two {
		t.Errorf("who asks for a fresh one got %+v", g)
	}
}

func TestPlanEvictsTheLongestIdle(t *testing.T) {
	y := newYard(t, 1024)
	var boxes []*box
	for i := range 4 {
		boxes = append(boxes, y.cold(fmt.Sprint(i), wantOf(fmt.Sprint("/g/", i), 256, 1)))
	}
	if g := y.ask("big", wantOf("/g/big", 512, 1)); g != nil {
		t.Fatalf("a busy one was evicted: %+v", g)
	}
	y.release(boxes[2])
	y.now = y.now.Add(time.Millisecond)
	got := y.release(boxes[0])["big"]
	if got == nil || len(got.evict) != 2 || got.evict[0] != boxes[2] || got.evict[1] != boxes[0] {
		t.Fatalf("evicted: %+v", got)
	}
	if y.p.free != 0 {
		t.Errorf("%d MB are free", y.p.free)
	}
}

// Who finds a warm container goes before who needs room, but not for ever, and then
// not so often that every run becomes a cold start.
func TestPlanLetsNobodyStarve(t *testing.T) {
	y := newYard(t, 256)
	a := wantOf("/g/a", 256, 1)
	b := y.cold("a", a)
	y.ask("b", wantOf("/g/b", 256, 1))
	y.ask("a1", a)
	y.ask("c", wantOf("/g/c", 256, 1))
	y.ask("a2", a)
	if got := y.release(b); got["a1"] == nil {
		t.Fatalf("a1 had to wait: %v", got)
	}
	y.now = y.now.Add(patience)
	got := y.release(b)["b"]
	if got == nil || !got.cold || len(got.evict) != 1 {
		t.Fatalf("b still waits: %+v", got)
	}
	// c has waited as long, but the next turn at others' cost comes later.
	y.p.started(got.box, y.now)
	y.ask("b1", wantOf("/g/b", 256, 1))
	if again := y.release(got.box); again["b1"] == nil {
		t.Fatalf("two containers in a row were given away: %v", again)
	}
	y.now = y.now.Add(takeoverEvery)
	if again := y.release(got.box); again["c"] == nil {
		t.Fatalf("c still waits: %v", again)
	}
}

// One container serves as many runs at a time as the action allows, and is started once.
func TestPlanStartsOneContainerForOverlappingRuns(t *testing.T) {
	y := newYard(t, 4096)
	w := wantOf("/g/a", 256, 4)
	first := y.ask("1", w)
	for i := 2; i <= 4; i++ {
		if g := y.ask(fmt.Sprint(i), w); g != nil {
			t.Fatalf("run %d did not wait for the start: %+v", i, g)
		}
	}
	fifth := y.ask("5", w)
	if fifth == nil || !fifth.cold || fifth.box == first.box {
		t.Fatalf("the fifth run has no room in the first container: %+v", fifth)
	}
	y.p.started(first.box, y.now)
	if got := y.take(); len(got) != 3 || first.box.running != 4 {
		t.Fatalf("granted: %v", got)
	}
	// It goes when it has spoilt one run, but not before the others have ended.
	y.p.release(first.box, false, y.now)
	if y.take(); first.box.state != leaving {
		t.Fatalf("state %v", first.box.state)
	}
	for range 3 {
		y.p.release(first.box, true, y.now)
	}
	if y.take(); first.box.state != gone {
		t.Errorf("state %v", first.box.state)
	}
}

func TestPlanStartsAnotherWhenAStartFails(t *testing.T) {
	y := newYard(t, 4096)
	w := wantOf("/g/a", 256, 4)
	first := y.ask("1", w)
	y.ask("2", w)
	y.ask("3", w)
	y.p.startFailed(first.box, errors.New("no"), y.now)
	got := y.take()
	if len(got) != 1 || got["2"] == nil || !got["2"].cold {
		t.Fatalf("granted: %v", got)
	}
	y.p.release(got["2"].box, false, y.now) // its /init failed
	if got := y.take(); got["3"] == nil || !got["3"].cold {
		t.Errorf("granted: %v", got)
	}
}

// Where runs are short, waiting for a busy container is better than to start one; where
// it does not become free after all, one is started.
func TestPlanWaitsForContainersThatAreBusyForAMoment(t *testing.T) {
	y := newYard(t, 4096)
	y.p.crowded = true
	w := wantOf("/g/a", 256, 1)
	b := y.cold("1", w)
	y.now = y.now.Add(time.Millisecond)
	y.release(b)
	if y.p.quick(&w, y.now) != b {
		t.Fatal("it is not free")
	}
	if g := y.ask("2", w); g != nil {
		t.Fatalf("a container was started: %+v", g)
	}
	y.now = y.now.Add(time.Millisecond)
	if got := y.release(b); got["2"] == nil || got["2"].box != b {
		t.Fatalf("granted: %v", got)
	}
	y.ask("3", w)
	if g := y.ask("4", wantOf("/g/other", 256, 1)); g == nil || !g.cold {
		t.Fatalf("another action has to wait as well: %+v", g)
	}
	if at := y.p.wake(); at.Sub(y.now) != shortWait {
		t.Fatalf("to be woken at %v", at)
	}
	y.now = y.now.Add(shortWait)
	y.p.serve(nil, y.now)
	if got := y.take(); got["3"] == nil || !got["3"].cold {
		t.Fatalf("granted: %v", got)
	}
	for range 30 {
		y.p.learn(b, y.now.Add(time.Second))
	}
	if g := y.ask("5", w); g == nil || !g.cold {
		t.Errorf("where runs are long: %+v", g)
	}
	for range 50 {
		y.p.learn(b, y.now.Add(time.Millisecond))
	}
	y.p.crowded = false
	if g := y.ask("6", w); g == nil || !g.cold {
		t.Errorf("where the CPUs are idle: %+v", g)
	}
}

func TestPlanKeepsNoOldRevision(t *testing.T) {
	y := newYard(t, 4096)
	old := wantOf("/g/a", 256, 1)
	idle, busy := y.cold("1", old), y.cold("2", old)
	y.release(idle)
	other := y.cold("other", want{key: key{"guest2", "/g/a", "", 1}, base: base{kind: "x", memory: 256}, slots: 1})
	y.release(other)
	next := old
	next.key.revision = 2
	y.cold("3", next)
	if idle.state != gone || busy.state != ready || other.state != ready {
		t.Fatalf("idle %v, busy %v, another namespace's %v", idle.state, busy.state, other.state)
	}
	if y.release(busy); busy.state != gone {
		t.Error("the old revision's container stayed after its run")
	}
	y.p.retire("/g/a", 2)
	if y.take(); other.state != gone {
		t.Error("an update did not reach another namespace's container")
	}
}

func TestPlanPrewarms(t *testing.T) {
	y := newYard(t, 1024, Prewarm{"x", 2, 256})
	y.p.expire(y.now, time.Hour, 0)
	stemsNow := func() []*box { return y.p.take().stems }
	var list []*box
	for range 2 {
		got := stemsNow()
		if len(got) != 1 {
			t.Fatalf("%d are started at a time", len(got))
		}
		list = append(list, got[0])
		y.p.stemStarted(got[0], y.now)
	}
	if got := stemsNow(); len(got) != 0 {
		t.Fatal("more than two are started")
	}
	g := y.ask("a", wantOf("/g/a", 256, 1))
	if g == nil || !g.cold || g.box != list[0] || g.evict != nil {
		t.Fatalf("the one that was started in advance was not used: %+v", g)
	}
	// Its successor has begun already; the other one, ready, is the first to go when room is needed.
	y.p.started(g.box, y.now)
	y.release(g.box)
	if g := y.ask("b", wantOf("/g/b", 512, 1)); g == nil || len(g.evict) != 1 || g.evict[0] != list[1] {
		t.Fatalf("evicted: %+v", g)
	}
	if b := y.p.stems[0]; b.starting != 1 || len(b.ready) != 0 {
		t.Fatalf("%+v", b)
	}
}

func TestPlanPrewarmsNothingWhileNothingRuns(t *testing.T) {
	y := newYard(t, 1024, Prewarm{"x", 1, 256})
	y.p.expire(y.now, time.Minute, time.Minute)
	y.p.stemStarted(y.p.take().stems[0], y.now)
	y.now = y.now.Add(time.Minute)
	y.p.expire(y.now, time.Minute, time.Minute)
	y.take()
	if len(y.p.boxes) != 0 || y.p.free != 1024 {
		t.Fatalf("%d containers are left", len(y.p.boxes))
	}
	y.p.expire(y.now.Add(time.Minute), time.Minute, time.Minute)
	if len(y.p.boxes) != 0 {
		t.Fatal("a container was started though nobody asked")
	}
	b := y.cold("a", wantOf("/g/a", 256, 1))
	y.p.release(b, true, y.now)
	if len(y.p.take().stems) != 0 && len(y.p.boxes) != 2 {
		t.Error("after a run none is started in advance")
	}
}

// Starts that fail again and again are tried at longer and longer pauses; who
// asks in between is told at once, and why.
func TestPlanDoesNotStormFailingStarts(t *testing.T) {
	y := newYard(t, 4096)
	w := wantOf("/g/a", 256, 1)
	tried, told := 0, 0
	for range 100 * 20 { // 20 s, 100 runs a second
		g := y.ask("x", w)
		if g == nil {
			t.Fatal("a run had to wait")
		}
		if g.err == nil {
			tried++
			y.p.startFailed(g.box, errors.New("no such image"), y.now)
		} else if told++; !strings.Contains(g.err.Error(), "no such image") || !strings.Contains(g.err.Error(), "the next is tried in") {
			t.Fatalf("error: %v", g.err)
		}
		y.now = y.now.Add(10 * time.Millisecond)
	}
	if tried > 12 || tried < 8 {
		t.Errorf("%d starts in 20 s", tried)
	}
	if g := y.ask("y", want{key: w.key, base: base{kind: "y", memory: 256}, slots: 1}); g == nil || g.err != nil {
		t.Errorf("another kind suffers: %+v", g)
	}
	y.now = y.now.Add(longestPause)
	b := y.cold("x", w)
	y.release(b)
	if len(y.p.failures) != 0 {
		t.Error("a success is no comfort")
	}
}
