package main

import (
	"cmp"
	"slices"
	"time"
)

// worth is what a server loses with an idle worker, by GDSF: clock + runs × start time ÷
// memory (server/design.md; FaasCache, ASPLOS 2021).
func (s *server) worth(h *held) float64 {
	start := h.f.startWork + h.f.startWait.Seconds()
	return s.room.clock + h.runs*start/(float64(h.f.memory)/giga)
}

// makeRoom says whether one more worker fits, and ends idle workers so that it does; none in vain.
func (s *server) makeRoom(f *function) (gpu int, ok bool) {
	if gpu, ok := s.room.fits(f); ok {
		return gpu, true
	}
	after := s.room
	after.gpus = slices.Clone(s.room.gpus)
	var going []*worker
	for _, w := range s.evictable() {
		after.leave(w)
		going = append(going, w)
		if _, ok := after.fits(f); ok {
			return s.evict(going, f)
		}
	}
	return -1, false
}

// evictable are the idle workers that may go, the least worth first.
func (s *server) evictable() []*worker {
	var list []*worker
	for _, w := range s.idle {
		if s.loop.now-w.since >= minIdle {
			list = append(list, w)
		}
	}
	slices.SortStableFunc(list, func(a, b *worker) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.since, b.since))
	})
	return list
}

// evict ends those of the workers that the function cannot do without, the least worth first.
func (s *server) evict(list []*worker, f *function) (gpu int, ok bool) {
	for i := len(list) - 1; i >= 0; i-- {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		after := s.room
		after.gpus = slices.Clone(s.room.gpus)
		for _, w := range rest {
			after.leave(w)
		}
		if _, ok := after.fits(f); ok {
			list = rest
		}
	}
	for _, w := range list {
		s.room.clock = max(s.room.clock, w.value)
		s.endWorker(s.takeIdle(w))
		s.evicted++
	}
	return s.room.fits(f)
}

// mustYield reports whether a worker whose run has ended makes way for another function:
// else one whose runs follow each other closely would keep all others out.
func (s *server) mustYield(w *worker) bool {
	for _, h := range s.wantingInOrder() {
		if h != w.held && s.yields(w, h) {
			return true
		}
	}
	return false
}

func (s *server) yields(w *worker, to *held) bool {
	waited := s.loop.now - to.since
	if waited < yieldAfter || !s.helps(w, to.f) {
		return false
	}
	mine, theirs := s.namespaceHas(w.held), s.namespaceHas(to)
	if w.held.f.namespace == to.f.namespace {
		mine, theirs = w.held.memory, to.memory
	}
	if mine-w.held.f.memory >= theirs+to.f.memory {
		return true
	}
	turn := max(quantum, 4*(w.held.f.startWait+seconds(w.held.f.startWork)))
	starves := to.workers == 0 && waited >= 10*time.Second
	return waited >= turn && s.loop.now-w.up >= turn && (mine >= theirs+to.f.memory || starves && mine >= theirs)
}

// helps reports whether the function has room once the worker has ended.
func (s *server) helps(w *worker, f *function) bool {
	if _, ok := s.room.fits(f); ok {
		return false // it is on its way
	}
	after := s.room
	after.gpus = slices.Clone(s.room.gpus)
	after.leave(w)
	_, ok := after.fits(f)
	return ok
}
