package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// An account is what of a server's memory and GPUs is taken.
type account struct {
	loop   *loop
	total  int64
	used   int64
	idle   int64 // of used, what idle workers have
	gpus   []gpuAccount
	unused int64 // of used, what no run uses: idle workers and those that start
	since  time.Duration
	wasted float64 // byte seconds of unused so far
	clock  float64 // the highest worth that was evicted, see worth
}

// A gpuAccount is one GPU's memory.
type gpuAccount struct{ total, used, idle int64 }

func newAccount(l *loop, s spec) account {
	a := account{loop: l, total: s.memory}
	for range s.gpus {
		a.gpus = append(a.gpus, gpuAccount{total: s.gpuMemory})
	}
	return a
}

// spend counts the memory that nobody has used until now, and changes it.
func (a *account) spend(more int64) {
	a.wasted += float64(a.unused) * (a.loop.now - a.since).Seconds()
	a.since = a.loop.now
	a.unused += more
}

func (a *account) enter(w *worker) {
	a.used += w.held.f.memory
	a.spend(w.held.f.memory)
	if w.gpu >= 0 {
		a.gpus[w.gpu].used += w.held.f.gpuMemory
	}
}

func (a *account) ready(w *worker) { a.spend(-w.held.f.memory) }

func (a *account) rest(w *worker) {
	a.spend(w.held.f.memory)
	a.idle += w.held.f.memory
	if w.gpu >= 0 {
		a.gpus[w.gpu].idle += w.held.f.gpuMemory
	}
}

func (a *account) wake(w *worker) {
	a.spend(-w.held.f.memory)
	a.idle -= w.held.f.memory
	if w.gpu >= 0 {
		a.gpus[w.gpu].idle -= w.held.f.gpuMemory
	}
}

func (a *account) leave(w *worker) {
	a.used -= w.held.f.memory
	if w.gpu >= 0 {
		a.gpus[w.gpu].used -= w.held.f.gpuMemory
	}
}

// fits reports whether a worker has room, and on which GPU: on the fullest that suffices.
func (a *account) fits(f *function) (gpu int, ok bool) {
	if a.used+f.memory > a.total {
		return -1, false
	}
	if !f.gpu {
		return -1, true
	}
	best := -1
	for i, g := range a.gpus {
		if g.used+f.gpuMemory <= g.total && (best < 0 || g.used > a.gpus[best].used) {
			best = i
		}
	}
	return best, best >= 0
}

// rooms is what it reports of it.
func (a *account) rooms() (memory placement.Room, gpus []placement.Room) {
	for _, g := range a.gpus {
		gpus = append(gpus, placement.Room{Known: true, Total: g.total, Free: g.total - g.used, Idle: g.idle})
	}
	return placement.Room{Known: true, Total: a.total, Free: a.total - a.used, Idle: a.idle}, gpus
}

// want says how many further workers a function wants.
func (s *server) want(h *held, n int) {
	if n > 0 && h.wants == 0 {
		h.since = s.loop.now
		s.wanting = append(s.wanting, h)
	}
	if n == 0 && h.wants > 0 {
		i := slices.Index(s.wanting, h)
		s.wanting = slices.Delete(s.wanting, i, i+1)
	}
	h.wants = n
}

// serveWanting starts what there is room for: first whose namespace has the least
// memory, then who has no worker, then who has waited longest.
func (s *server) serveWanting() {
	for _, h := range s.wantingInOrder() {
		for h.wants > 0 {
			gpu, ok := s.makeRoom(h.f)
			if !ok {
				s.serveLater(minIdle)
				break
			}
			s.want(h, h.wants-1)
			s.start(h, gpu)
		}
	}
}

func (s *server) serveLater(d time.Duration) {
	if s.serving {
		return
	}
	s.serving = true
	life := s.life
	s.loop.after(d, func() {
		if s.life == life {
			s.serving = false
			s.serveWanting()
		}
	})
}

func (s *server) wantingInOrder() []*held {
	order := slices.Clone(s.wanting)
	if len(order) > 1 {
		slices.SortStableFunc(order, func(a, b *held) int {
			return cmp.Or(cmp.Compare(s.namespaceHas(a), s.namespaceHas(b)), cmp.Compare(min(a.workers, 1), min(b.workers, 1)), cmp.Compare(a.since, b.since))
		})
	}
	return order
}

// namespaceHas is the memory that workers of the function's namespace have.
func (s *server) namespaceHas(h *held) int64 { return s.namespaces[h.f.namespace] }

// has counts memory that the function has from now on, or has no more.
func (s *server) has(h *held, memory int64) {
	h.memory += memory
	s.namespaces[h.f.namespace] += memory
}
