package invoker

import (
	"container/list"
	"fmt"
	"slices"
	"time"
)

// A key says whom a container belongs to.
type key struct {
	namespace string // the invoking one
	action    string // "/namespace/package/name"
	variant   string // bus.Action's
	revision  int64
}

func (k key) owner() owner { return owner{k.namespace, k.action} }

// An owner is whom the revisions of an action belong to, in all their variants.
type owner struct{ namespace, action string }

// A base says what a container is made of before it belongs to an action.
type base struct {
	kind       string
	image      string // the action's own; empty: the kind's
	memory     int    // megabytes
	concurrent bool   // it is told that runs will overlap
}

// A want says what a run needs.
type want struct {
	key   key
	base  base
	slots int  // how many runs one of its containers takes at a time, at least 1
	fresh bool // not a container that has run before
}

// An ask is a want that waits for its container.
type ask struct {
	want
	since   time.Time
	seq     uint64
	elem    *list.Element // in the plan's queue, or in short; nil: it is covered
	until   time.Time     // when it leaves short for the queue; zero: it is not there
	granted chan grant    // cap 1
}

// A grant is what becomes of an ask.
type grant struct {
	box   *box
	cold  bool   // the box is new, or was started in advance: it needs its /init
	evict []*box // must be gone before box is started; their memory is box's
	err   error
}

type boxState int

const (
	stemStarting boxState = iota // in advance, for no action yet
	stem                         // started in advance, and there
	starting                     // for an action; its first run starts it and does the /init
	ready                        // warm: takes runs while it has a free slot
	leaving                      // takes no more runs, and goes when the last has ended
	gone
)

// A box is what the plan knows of a container.
type box struct {
	state   boxState
	base    base
	key     key
	slots   int
	running int
	since   time.Time     // when it became idle, or began its only run, or was to start
	elem    *list.Element // in the plan's idle list; nil: not idle
	paused  bool          // since it became idle, or about to be

	c *container // the pool's; nil while it starts
}

// A lane has the containers and the asks of one key.
type lane struct {
	key    key
	asks   []*ask // in the order of their arrival
	free   []*box // ready ones with a free slot; the one that was used last is the last
	boxes  int    // all that are not gone
	coming int    // slots that will be free when containers which are starting are ready

	covered int // how many asks wait for those

	usual time.Duration // what a run takes, as far as is known; 0: it is not
	start time.Duration // what the last start took, with the /init
}

// effects are what the pool must carry out.
type effects struct {
	grants []granted
	kill   []*box // idle ones: each is leaving already
	stems  []*box // to be started
}

type granted struct {
	ask *ask
	grant
}

// A plan decides who gets which container, which are started in advance, and
// which go. It has no clock, no lock, and starts and ends nothing: methods get
// the time, and leave in effects what is to be done.
//
// What holds: the memory of all boxes is never above total; a box that runs
// something, or starts, is never evicted; asks of one key are served in their order;
// an ask that has waited for longer than patience is not passed over for ever.
type plan struct {
	total, free int           // megabytes
	boxes       map[*box]bool // all whose memory is taken
	lanes       map[key]*lane
	newest      map[owner]*revisions
	queue       *list.List // asks that no starting container covers, in the order of their arrival
	short       *list.List // asks for which a busy container will soon be free, in the order of their until
	idle        *list.List // boxes, the longest idle first
	idleMemory  int
	stems       []*stems
	stemMemory  int  // of those that are ready
	stemStarts  int  // under way
	crowded     bool // the machine's CPUs are busy
	enough      int  // containers of one action in that case, unless its runs take their time
	quiet       bool // nothing was asked for long: no stems are wanted
	failures    map[base]*failures
	seq         uint64
	lastAsk     time.Time
	held        bool      // some have a free container, and wait so that somebody else gets memory
	takeover    time.Time // when somebody was last served whom others had to make room for
	out         effects
}

// revisions counts an owner's lanes, and knows the newest revision that was asked for.
type revisions struct {
	newest int64
	lanes  int
}

// stems are the containers started in advance with one base.
type stems struct {
	base     base
	want     int
	ready    []*box
	starting int
}

// patience is how long the first in the queue lets others go first who find
// their container warm. After that it is served even if that costs warm ones.
const patience = time.Second

func newPlan(total int, prewarm []Prewarm, now time.Time) *plan {
	p := &plan{
		total: total, free: total, boxes: map[*box]bool{}, lanes: map[key]*lane{}, newest: map[owner]*revisions{},
		queue: list.New(), short: list.New(), idle: list.New(), failures: map[base]*failures{}, lastAsk: now, enough: 1,
	}
	for _, w := range prewarm {
		p.stems = append(p.stems, &stems{base: base{kind: w.Kind, memory: w.Memory}, want: w.Count})
	}
	return p
}

// take returns what is to be done since it was called last.
func (p *plan) take() effects {
	out := p.out
	p.out = effects{}
	return out
}

// quick is the short way: the box that was used last is free, and nobody has to be asked.
func (p *plan) quick(w *want, now time.Time) *box {
	l := p.lanes[w.key]
	if l == nil || len(l.free) == 0 || len(l.asks) > 0 || w.fresh || p.mustYield(w.key, now) {
		return nil
	}
	p.lastAsk, p.quiet = now, false
	b := l.free[len(l.free)-1]
	p.occupy(l, b, now)
	return b
}

// add takes an ask in.
func (p *plan) add(a *ask, now time.Time) {
	a.since = now
	p.seq++
	a.seq = p.seq
	p.lastAsk, p.quiet = now, false
	l := p.lane(a.key)
	l.asks = append(l.asks, a)
	p.enqueue(l, a, now)
	p.cover(l)
	p.retireOlder(a.key)
	p.serve(l, now)
}

// giveUp takes an ask back. It reports false when it was granted already.
func (p *plan) giveUp(a *ask, now time.Time) bool {
	l := p.lanes[a.key]
	if l == nil {
		return false
	}
	i := slices.Index(l.asks, a)
	if i < 0 {
		return false
	}
	p.dequeue(l, i)
	p.serve(l, now) // it may have been the one that held up the others
	p.drop(l)
	return true
}

// started says that a box has got through its /init, and its other slots can be used.
func (p *plan) started(b *box, now time.Time) {
	p.succeeded(b.base)
	if b.state != starting {
		return // it died meanwhile
	}
	p.open(b)
	p.lanes[b.key].start = now.Sub(b.since)
	b.since = now // its run begins
	if b.slots > 1 {
		l := p.lanes[b.key]
		l.free = append(l.free, b)
		p.serve(l, now)
	}
}

// open makes a box ready that was starting.
func (p *plan) open(b *box) {
	b.state = ready
	l := p.lanes[b.key]
	l.coming -= b.slots - 1
	p.cover(l)
}

// startFailed says that a box could not be started; nothing is left of it. The
// reason is nil when nobody wanted it any more.
func (p *plan) startFailed(b *box, reason error, now time.Time) {
	if reason != nil {
		p.failed(b.base, reason, now)
	}
	switch b.state {
	case stemStarting:
		p.stemsOf(b.base).starting--
		p.stemStarts--
	case starting:
		p.leave(b)
	}
	p.gone(b, now)
}

// stemStarted says that a box which was started in advance is there.
func (p *plan) stemStarted(b *box, now time.Time) {
	p.succeeded(b.base)
	s := p.stemsOf(b.base)
	s.starting--
	p.stemStarts--
	b.state = stem
	s.ready = append(s.ready, b)
	p.stemMemory += b.base.memory
	p.serve(nil, now)
}

// release takes a slot back. good: the box may go on.
func (p *plan) release(b *box, good bool, now time.Time) {
	wasFull := b.running == b.slots
	p.learn(b, now)
	b.running--
	if !good || b.state == ready && p.outdated(b.key) {
		p.leave(b)
	}
	switch b.state {
	case leaving:
		if b.running == 0 {
			p.out.kill = append(p.out.kill, b)
		}
	case ready:
		if l := p.lanes[b.key]; !wasFull {
			l.free = slices.Delete(l.free, slices.Index(l.free, b), slices.Index(l.free, b)+1)
		}
		p.loosen(b, now)
	}
	p.serve(p.lanes[b.key], now)
}

// learn notes how long a warm run took.
func (p *plan) learn(b *box, now time.Time) {
	if l := p.lanes[b.key]; b.slots == 1 && b.state == ready && l != nil {
		took := max(now.Sub(b.since), 1)
		if l.usual == 0 {
			l.usual = took
		}
		l.usual += (took - l.usual) / 8
	}
}

// loosen makes a box with a free slot the one that was used last.
func (p *plan) loosen(b *box, now time.Time) {
	l := p.lanes[b.key]
	l.free = append(l.free, b)
	if b.running == 0 {
		b.since = now
		b.elem = p.idle.PushBack(b)
		p.idleMemory += b.base.memory
	}
}

// died says that a box's container ended by itself.
func (p *plan) died(b *box, now time.Time) {
	switch b.state {
	case stem:
		p.failed(b.base, errDied, now) // so that one which always dies is not started without end
		p.endStem(b)
	case ready, starting:
		idle := b.state == ready && b.running == 0
		p.leave(b)
		if idle {
			p.out.kill = append(p.out.kill, b)
		}
	default:
		return
	}
	p.serve(p.lanes[b.key], now)
}

// endStem lets a box go that was started in advance.
func (p *plan) endStem(b *box) {
	s := p.stemsOf(b.base)
	s.ready = slices.DeleteFunc(s.ready, func(other *box) bool { return other == b })
	p.stemMemory -= b.base.memory
	b.state = leaving
	p.out.kill = append(p.out.kill, b)
}

// discard gives up an idle box; it reports false if it is not idle any more.
func (p *plan) discard(b *box) bool {
	if b.state != ready || b.running > 0 {
		return false
	}
	p.leave(b)
	p.out.kill = append(p.out.kill, b)
	return true
}

// gone frees a box's memory: its container is no more.
func (p *plan) gone(b *box, now time.Time) {
	p.free += b.base.memory
	p.forget(b)
	if l := p.lanes[b.key]; l != nil {
		l.boxes--
		p.serve(l, now)
		p.drop(l)
		return
	}
	p.serve(nil, now)
}

func (p *plan) forget(b *box) {
	b.state = gone
	delete(p.boxes, b)
}

// expire lets go what has been idle for too long, and begins what must be begun after a time.
func (p *plan) expire(now time.Time, idle, prewarmIdle time.Duration) {
	for e := p.idle.Front(); e != nil; e = p.idle.Front() {
		b := e.Value.(*box)
		if now.Sub(b.since) < idle {
			break
		}
		p.discard(b)
	}
	if prewarmIdle > 0 && now.Sub(p.lastAsk) >= prewarmIdle && p.idle.Len() == 0 && p.queue.Len() == 0 && p.short.Len() == 0 {
		p.quiet = true
		for _, s := range p.stems {
			for _, b := range slices.Clone(s.ready) {
				p.endStem(b)
			}
		}
	}
	p.forgive(now)
	p.serve(nil, now)
}

// retire lets go the idle boxes of an action's older revisions, and the others once they are idle.
func (p *plan) retire(action string, revision int64) {
	for o, r := range p.newest {
		if o.action == action && r.newest < revision {
			r.newest = revision
			p.retireIdle(o, revision)
		}
	}
}

// retireOlder is retire when a run asks for a revision.
func (p *plan) retireOlder(k key) {
	r := p.newest[k.owner()]
	if r.newest >= k.revision {
		return
	}
	r.newest = k.revision
	if r.lanes > 1 {
		p.retireIdle(k.owner(), k.revision)
	}
}

func (p *plan) retireIdle(o owner, revision int64) {
	for e := p.idle.Front(); e != nil; {
		b := e.Value.(*box)
		e = e.Next()
		if b.key.owner() == o && b.key.revision < revision {
			p.discard(b)
		}
	}
}

func (p *plan) outdated(k key) bool {
	r := p.newest[k.owner()]
	return r != nil && r.newest > k.revision
}

func (p *plan) lane(k key) *lane {
	l := p.lanes[k]
	if l == nil {
		l = &lane{key: k}
		p.lanes[k] = l
		r := p.newest[k.owner()]
		if r == nil {
			r = &revisions{newest: k.revision}
			p.newest[k.owner()] = r
		}
		r.lanes++
	}
	return l
}

// drop forgets a lane that has nothing.
func (p *plan) drop(l *lane) {
	if l.boxes > 0 || len(l.asks) > 0 || p.lanes[l.key] != l {
		return
	}
	delete(p.lanes, l.key)
	o := l.key.owner()
	if p.newest[o].lanes--; p.newest[o].lanes == 0 {
		delete(p.newest, o)
	}
}

// leave takes a box that belongs to an action out of use.
func (p *plan) leave(b *box) {
	l := p.lanes[b.key]
	switch b.state {
	case starting:
		l.coming -= b.slots - 1
		p.cover(l)
	case ready:
		if i := slices.Index(l.free, b); i >= 0 {
			l.free = slices.Delete(l.free, i, i+1)
		}
		p.noMoreIdle(b)
	}
	b.state = leaving
}

func (p *plan) noMoreIdle(b *box) {
	if b.elem != nil {
		p.idle.Remove(b.elem)
		b.elem, b.paused = nil, false
		p.idleMemory -= b.base.memory
	}
}

// occupy takes a slot of a ready box, whose lane is l.
func (p *plan) occupy(l *lane, b *box, now time.Time) {
	p.noMoreIdle(b)
	b.running++
	b.since = now
	if b.running == b.slots {
		last := len(l.free) - 1
		if l.free[last] != b {
			last = slices.Index(l.free, b)
		}
		l.free = slices.Delete(l.free, last, last+1)
	}
}

// end lets go all that is idle, and refuses all who wait.
func (p *plan) end(why error) {
	for _, l := range p.lanes {
		for len(l.asks) > 0 {
			a := l.asks[0]
			p.dequeue(l, 0)
			p.grant(a, grant{err: why})
		}
		p.drop(l)
	}
	for e := p.idle.Front(); e != nil; e = p.idle.Front() {
		p.discard(e.Value.(*box))
	}
	for _, s := range p.stems {
		s.want = 0
		for _, b := range slices.Clone(s.ready) {
			p.endStem(b)
		}
	}
}

func (p *plan) stemsOf(b base) *stems {
	for _, s := range p.stems {
		if s.base == b {
			return s
		}
	}
	return nil
}

func (b base) String() string {
	if b.image != "" {
		return fmt.Sprintf("%s with %d MB", b.image, b.memory)
	}
	return fmt.Sprintf("%s with %d MB", b.kind, b.memory)
}
