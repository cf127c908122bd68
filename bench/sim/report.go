package main

import (
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// A report is what a server tells the balancer of itself.
type report struct {
	memory    placement.Room
	gpus      []placement.Room
	functions []functionReport
}

// A functionReport is one function there.
type functionReport struct {
	f        *function
	prepared bool
	workers  int // up
	slots    int // runs that it can have at once, with the workers that there is room to start
}

// news is a server's way to tell of changes: with a pause between two reports, and
// not seldomer than every 2 s.
type news struct {
	send func(report) // nil: nobody listens
	told time.Duration
	due  bool // one is about to be sent
}

// changed has the balancer told soon.
func (s *server) changed() { s.tell(s.news.told + reportPause) }

func (s *server) tell(at time.Duration) {
	if s.news.send == nil || s.news.due {
		return
	}
	s.news.due = true
	life := s.life
	s.loop.at(at, func() {
		if s.life != life {
			return
		}
		s.news.due, s.news.told = false, s.loop.now
		s.news.send(s.status())
	})
}

// keepTelling has it told every now and then.
func (s *server) keepTelling() {
	if s.news.send == nil {
		return
	}
	life := s.life
	s.loop.after(reportEvery, func() {
		if s.life != life {
			return
		}
		if s.loop.now-s.news.told >= reportEvery {
			s.tell(s.loop.now)
		}
		s.keepTelling()
	})
}

func (s *server) status() report {
	var r report
	r.memory, r.gpus = s.room.rooms()
	for _, h := range s.known {
		if h.prepared || h.workers > 0 {
			r.functions = append(r.functions, functionReport{h.f, h.prepared, h.workers, s.slots(h, r)})
		}
	}
	return r
}

// slots is how many workers the function has, starts, and could have.
func (s *server) slots(h *held, r report) int {
	own := int64(len(h.idle)) * h.f.memory
	more := (r.memory.Free + r.memory.Idle - own) / h.f.memory
	if h.f.gpu {
		fit := -int64(len(h.idle))
		for _, g := range r.gpus {
			fit += (g.Free + g.Idle) / h.f.gpuMemory
		}
		more = min(more, fit)
	}
	now := h.workers + h.starting
	return now + int(min(int64(s.most()-now), max(0, more)))
}
