package invoker

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A world lets random things happen to a plan, and knows what must hold.
type world struct {
	t        testing.TB
	p        *plan
	now      time.Time
	waiting  []*ask
	arrived  map[key][]*ask // that wait and want no fresh one, in their order
	starting []*box         // granted cold; their run is to start them
	running  []*box         // one entry for each run
	killing  []*box
	stems    []*box
	last     [2]byte
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: time.Unix(1000, 0), arrived: map[key][]*ask{}}
	w.p = newPlan(1024, []Prewarm{{"x", 2, 128}, {"y", 1, 256}}, w.now)
	return w
}

// step lets one thing happen, as two bytes say.
func (w *world) step(what, which byte) {
	w.last = [2]byte{what, which}
	w.p.crowded = which%3 > 0
	w.now = w.now.Add(time.Duration(which) * time.Millisecond)
	switch what % 16 {
	case 0, 1, 2, 3:
		w.ask(which)
	case 4, 5, 6:
		if b, ok := pick(&w.running, which); ok {
			w.p.release(b, what%16 != 6 || which%4 > 0, w.now)
		}
	case 7, 8, 9:
		if b, ok := pick(&w.starting, which); ok {
			w.p.started(b, w.now)
			w.running = append(w.running, b)
		}
	case 10:
		w.fail(which)
	case 11:
		if len(w.waiting) > 0 {
			w.giveUp(w.waiting[int(which)%len(w.waiting)])
		}
	case 12, 13:
		if b, ok := pick(&w.killing, which); ok {
			w.p.gone(b, w.now)
		}
	case 14:
		w.p.expire(w.now, 200*time.Millisecond, time.Second)
		if b, ok := pick(&w.stems, which); ok {
			w.p.stemStarted(b, w.now)
		}
	case 15:
		w.die(which)
	}
	w.carryOut()
	w.check()
}

func pick[T any](list *[]T, which byte) (item T, ok bool) {
	if len(*list) == 0 {
		return item, false
	}
	i := int(which) % len(*list)
	item = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return item, true
}

func (w *world) ask(which byte) {
	kinds := []want{
		wantOf("/g/a", 128, 1), wantOf("/g/b", 256, 1), wantOf("/g/c", 256, 3), wantOf("/g/d", 1024, 1), wantOf("/g/e", 128, 2),
	}
	a := &ask{want: kinds[int(which)%len(kinds)]}
	a.key.revision = 1 + int64(which/100)
	a.fresh = which%16 == 3
	if !a.fresh {
		if b := w.p.quick(&a.want, w.now); b != nil {
			w.running = append(w.running, b)
			return
		}
		w.arrived[a.key] = append(w.arrived[a.key], a)
	}
	w.waiting = append(w.waiting, a)
	w.p.add(a, w.now)
}

func (w *world) giveUp(a *ask) {
	if !w.p.giveUp(a, w.now) {
		w.t.Fatal("who waits was granted something already")
	}
	w.noMoreWaiting(a)
}

func (w *world) noMoreWaiting(a *ask) {
	w.waiting = slices.DeleteFunc(w.waiting, func(other *ask) bool { return other == a })
	w.arrived[a.key] = slices.DeleteFunc(w.arrived[a.key], func(other *ask) bool { return other == a })
}

func (w *world) fail(which byte) {
	if which%2 == 0 {
		if b, ok := pick(&w.starting, which); ok {
			w.p.startFailed(b, errors.New("no"), w.now)
		}
	} else if b, ok := pick(&w.stems, which); ok {
		w.p.startFailed(b, errors.New("no"), w.now)
	}
}

func (w *world) die(which byte) {
	var all []*box
	for b := range w.p.boxes {
		if !slices.Contains(w.starting, b) && !slices.Contains(w.stems, b) { // these are not watched yet
			all = append(all, b)
		}
	}
	if len(all) > 0 {
		w.p.died(all[int(which)%len(all)], w.now)
	}
}

func (w *world) carryOut() {
	out := w.p.take()
	for _, g := range out.grants {
		w.granted(g)
	}
	for _, b := range out.kill {
		w.mayGo(b, "killed")
		w.killing = append(w.killing, b)
	}
	w.stems = append(w.stems, out.stems...)
}

func (w *world) granted(g granted) {
	for _, before := range w.arrived[g.ask.key] {
		if before == g.ask || g.ask.fresh {
			break
		}
		if !g.cold && g.err == nil || before.elem != nil { // else a container that is starting will take care of it
			w.t.Fatalf("asks of one key were not served in their order: %+v before %+v, cold %v, %v", g.ask, before, g.cold, g.err)
		}
	}
	w.noMoreWaiting(g.ask)
	for _, b := range g.evict {
		w.mayGo(b, "evicted")
	}
	switch {
	case g.err != nil:
		return
	case g.box.key != g.ask.key || g.box.base != g.ask.base:
		w.t.Fatalf("%+v got a container of %+v", g.ask.want, g.box)
	case g.cold:
		w.starting = append(w.starting, g.box)
	default:
		w.running = append(w.running, g.box)
	}
	if g.ask.fresh && !g.cold {
		w.t.Fatal("who asked for a fresh container got one that has run")
	}
}

func (w *world) mayGo(b *box, how string) {
	if b.running != 0 || slices.Contains(w.running, b) || slices.Contains(w.starting, b) || slices.Contains(w.stems, b) || slices.Contains(w.killing, b) {
		w.t.Fatalf("a container was %s that is in use: %+v", how, b)
	}
}

func (w *world) check() {
	used := 0
	runs := map[*box]int{}
	for _, b := range append(slices.Clone(w.running), w.starting...) {
		runs[b]++
	}
	for b := range w.p.boxes {
		used += b.base.memory
		if b.running != runs[b] || b.running > max(b.slots, 0) {
			w.t.Fatalf("%d of %d slots are taken by %d runs", b.running, b.slots, runs[b])
		}
	}
	if used+w.p.free != w.p.total || w.p.free < 0 {
		w.t.Fatalf("%d MB are used and %d free of %d", used, w.p.free, w.p.total)
	}
	covered := 0
	for _, l := range w.p.lanes {
		covered += l.covered
		for _, a := range l.asks {
			if !a.fresh && len(l.free) > 0 && !w.p.mustYield(l.key, w.now) {
				w.t.Fatalf("%+v waits though there is a free container; held %v, %d since the last takeover, event %d %d, free %+v, covered %v", a.want, w.p.held, w.now.Sub(w.p.takeover), w.last[0]%16, w.last[1], l.free[0], a.elem == nil)
			}
		}
	}
	if w.p.queue.Len()+w.p.short.Len()+covered != len(w.waiting) {
		w.t.Fatalf("%d in the queue, %d covered, but %d wait", w.p.queue.Len(), covered, len(w.waiting))
	}
	if e := w.p.queue.Front(); e != nil {
		if head := e.Value.(*ask); w.p.free+w.p.idleMemory+w.p.stemMemory >= head.base.memory {
			w.t.Fatalf("%+v waits though there is room", head.want)
		}
	}
}

// drain lets everything end: then everybody must have been served.
func (w *world) drain() {
	for round := 0; len(w.waiting) > 0; round++ {
		if round > 10_000 {
			w.t.Fatalf("%d still wait: %+v", len(w.waiting), w.waiting[0].want)
		}
		for _, what := range []byte{4, 7, 12, 14} {
			w.step(what, 1)
		}
	}
}

// FuzzPlan lets all things happen in all orders: memory is never exceeded, nothing
// busy is evicted, the order within an action holds, nobody waits for what is there, and all are served.
func FuzzPlan(f *testing.F) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		events := make([]byte, 2*r.IntN(2000))
		for i := range events {
			events[i] = byte(r.Uint32())
		}
		f.Add(events)
	}
	f.Fuzz(func(t *testing.T, events []byte) {
		w := newWorld(t)
		for len(events) >= 2 {
			w.step(events[0], events[1])
			events = events[2:]
		}
		w.drain()
	})
}
