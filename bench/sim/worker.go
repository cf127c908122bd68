package main

import (
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// A worker is one process of a function.
type worker struct {
	held  *held
	gpu   int           // which it has a part of; -1: none
	since time.Duration // idle since
	up    time.Duration // since when it is up
	value float64       // see server.worth
}

// A started says how a start ended.
type started struct {
	ok    bool
	found placement.Presence
	took  time.Duration
	own   time.Duration // of that, the process's own
}

// warm starts the function's first worker, for the balancer, unless there is one.
func (s *server) warm(f *function, reply func(started)) {
	h := s.hold(f)
	if h.workers > 0 {
		reply(started{ok: true, found: placement.Prepared})
		return
	}
	h.inits = append(h.inits, reply)
	s.grow(h)
	s.changed()
}

// grow starts as many workers as the waiting runs ask for.
func (s *server) grow(h *held) {
	atOnce := s.cpus
	if h.workers == 0 {
		atOnce = 1
	}
	want := len(h.queue) - h.starting
	if h.workers == 0 && h.starting == 0 && len(h.inits) > 0 {
		want = max(want, 1)
	}
	want = min(want, s.most()-h.workers-h.starting, atOnce-h.starting)
	if want <= 0 {
		s.want(h, 0)
		return
	}
	if h.workers > 0 && s.loop.now-h.queue[0].came < growAfter {
		s.growLater(h)
		return
	}
	s.want(h, want)
	s.serveWanting()
}

func (s *server) growLater(h *held) {
	life := s.life
	s.loop.at(h.queue[0].came+growAfter, func() {
		if s.life == life && len(h.queue) > 0 {
			s.grow(h)
		}
	})
}

// most is how many workers a function may have.
func (s *server) most() int { return max(16, 4*s.cpus) }

// start begins a worker's start: the code, the environment, the process.
func (s *server) start(h *held, gpu int) {
	s.starts++
	h.starting++
	s.has(h, h.f.memory)
	w := &worker{held: h, gpu: gpu}
	s.room.enter(w)
	began, life := s.loop.now, s.life
	found, transfer, build := placement.Prepared, time.Duration(0), 0.0
	if !h.prepared {
		found, transfer, build = placement.Absent, s.rtt+seconds(float64(h.f.code)/s.bandwidth), h.f.build
	}
	alive := func(do func()) func() {
		return func() {
			if s.life == life {
				do()
			}
		}
	}
	process := func() {
		h.prepared = true
		own := s.loop.now
		wait := time.Duration(float64(h.f.startWait) / s.strength)
		s.loop.after(wait, alive(func() {
			s.cpu.add(h.f.startWork, func() {
				s.ready(w, started{ok: true, found: found, took: s.loop.now - began, own: s.loop.now - own})
			})
		}))
	}
	s.loop.after(transfer, alive(func() { s.cpu.add(build, process) }))
}

// ready has a worker begin to work.
func (s *server) ready(w *worker, how started) {
	h := w.held
	h.starting--
	h.workers++
	w.up = s.loop.now
	for _, reply := range h.inits {
		reply(how)
	}
	h.inits = nil
	s.room.ready(w)
	s.next(w)
	if len(h.queue) > 0 {
		s.grow(h)
	}
}

// rest makes a worker idle: from now on it may be evicted for others.
func (s *server) rest(w *worker) {
	h := w.held
	w.since, w.value = s.loop.now, s.worth(h)
	h.idle = append(h.idle, w)
	s.idle = append(s.idle, w)
	s.room.rest(w)
	if len(s.wanting) > 0 {
		s.serveLater(minIdle)
	}
}

// takeIdle takes a worker out of the idle ones.
func (s *server) takeIdle(w *worker) *worker {
	w.held.idle = without(w.held.idle, w)
	s.idle = without(s.idle, w)
	s.room.wake(w)
	return w
}

func without(list []*worker, w *worker) []*worker {
	i := slices.Index(list, w)
	return slices.Delete(list, i, i+1)
}

// endWorker ends a worker that is up and not among the idle ones.
func (s *server) endWorker(w *worker) {
	w.held.workers--
	s.has(w.held, -w.held.f.memory)
	s.room.leave(w)
}
