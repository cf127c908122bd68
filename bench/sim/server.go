package main

import "time"

// What servers do as ours do: see server/design.md, server/server.go, server/plan.go.
const (
	queueLimit  = 1000                   // waiting runs of one function
	growAfter   = 4 * time.Millisecond   // a run waits so long before another worker is thought of
	minIdle     = 250 * time.Millisecond // no worker is evicted before it has been idle for so long
	idleTTL     = 5 * time.Minute        // then an idle worker ends
	sweepEvery  = 5 * time.Second        // how often a model looks for those
	yieldAfter  = 100 * time.Millisecond // who has waited so long for room may ask a busy function for it
	quantum     = time.Second            // a turn among equals
	reportPause = 100 * time.Millisecond // between two reports, at least
	reportEvery = 2 * time.Second        // at most
)

// A server is a model of our server: functions' workers and queues, their memory, its CPUs.
type server struct {
	spec
	loop       *loop
	id         int
	cpu        *cpu
	units      []*cpu // what its GPUs compute with: one run at a time each, or several that share it
	up         bool
	life       int           // counts its starts: what an earlier life had asked for is void
	reach      time.Duration // nothing passes from or to it before
	held       []*held       // by function.id; nil: not here
	known      []*held       // the others of held, in the order in which they came
	idle       []*worker
	wanting    []*held // who lack room
	serving    bool    // they are about to be looked at
	room       account
	news       news
	starts     int // of workers
	evicted    int
	namespaces map[int]int64 // memory of each one's workers; never ranged over
}

// held is what a server has of one function.
type held struct {
	f        *function
	prepared bool // the code is there, its environment built
	workers  int  // that are up
	starting int
	running  int
	idle     []*worker // the most recently used last
	queue    []*visit
	memory   int64 // its workers have
	runs     float64
	wants    int           // further workers, for which there is no room yet
	since    time.Duration // when it began to want
	inits    []func(started)
}

// A visit is a run at a server.
type visit struct {
	run    *run
	came   time.Duration
	began  time.Duration
	worker *worker // that runs it; nil: it waits
	job    *job
	ended  bool
	reply  func(answer)
}

// An answer is what a server says to a run.
type answer struct {
	outcome outcome
	busy    bool          // refused: it never began and may be tried elsewhere
	took    time.Duration // in the function itself
	inside  time.Duration // at the server
}

func newServer(l *loop, id int, s spec, functions int) *server {
	v := &server{spec: s, loop: l, id: id, up: true, held: make([]*held, functions), namespaces: map[int]int64{}}
	v.cpu = &cpu{loop: l, cores: s.cpus, speed: s.strength}
	for range s.gpus {
		v.units = append(v.units, &cpu{loop: l, cores: 1, speed: s.gpuSpeed})
	}
	v.room = newAccount(l, s)
	v.sweep(v.life)
	return v
}

func (s *server) hold(f *function) *held {
	if s.held[f.id] == nil {
		h := &held{f: f}
		s.held[f.id] = h
		s.known = append(s.known, h)
	}
	return s.held[f.id]
}

// arrive takes a run.
func (s *server) arrive(r *run, reply func(answer)) {
	h := s.hold(r.f)
	if len(h.queue) >= queueLimit {
		reply(answer{outcome: refused, busy: true})
		return
	}
	v := &visit{run: r, came: s.loop.now, reply: reply}
	life := s.life
	s.loop.at(r.deadline(), func() {
		if s.life == life && !v.ended {
			s.cut(h, v)
		}
	})
	if n := len(h.idle); n > 0 {
		s.begin(s.takeIdle(h.idle[n-1]), v)
		return
	}
	h.queue = append(h.queue, v)
	s.grow(h)
	s.changed()
}

// cut ends a run at its limit. Its worker ends with it, as a real one is killed.
func (s *server) cut(h *held, v *visit) {
	v.ended = true
	if v.worker == nil {
		for i, other := range h.queue {
			if other == v {
				h.queue = append(h.queue[:i], h.queue[i+1:]...)
				break
			}
		}
		v.reply(answer{outcome: refused, inside: s.loop.now - v.came})
		return
	}
	v.job.remove()
	h.running--
	s.endWorker(v.worker)
	v.reply(answer{outcome: timedOut, took: s.loop.now - v.began, inside: s.loop.now - v.came})
	s.grow(h)
}

// begin lets a worker run it: first what needs no CPU, then what does.
func (s *server) begin(w *worker, v *visit) {
	v.worker, v.began = w, s.loop.now
	w.held.running++
	w.held.runs++
	life := s.life
	work := func() {
		if s.life == life && !v.ended {
			v.job = s.cpu.add(v.run.work, func() { s.finish(v) })
		}
	}
	switch {
	case w.gpu >= 0:
		v.job = s.units[w.gpu].add(v.run.wait.Seconds(), work)
	case v.run.wait == 0:
		work()
	default:
		s.loop.after(v.run.wait, work)
	}
}

func (s *server) finish(v *visit) {
	w := v.worker
	v.ended = true
	w.held.running--
	v.reply(answer{outcome: finished, took: s.loop.now - v.began, inside: s.loop.now - v.came})
	s.next(w)
}

// next gives a worker that is up its next run, if one waits.
func (s *server) next(w *worker) {
	h := w.held
	switch {
	case s.mustYield(w):
		s.endWorker(w)
		s.serveWanting()
		s.grow(h)
	case len(h.queue) > 0:
		v := h.queue[0]
		h.queue = h.queue[1:]
		s.begin(w, v)
	default:
		s.rest(w)
	}
	if h.wants > 0 {
		s.grow(h) // it may want fewer now
	}
	s.changed()
}

// forget ends the workers of a function that are idle, for the balancer wants none here.
func (s *server) forget(f *function) {
	h := s.held[f.id]
	if h == nil {
		return
	}
	for len(h.idle) > 0 {
		s.endWorker(s.takeIdle(h.idle[0]))
	}
	s.serveWanting()
	s.changed()
}

// sweep ends workers that were idle for too long, again and again.
func (s *server) sweep(life int) {
	s.loop.after(sweepEvery, func() {
		if s.life != life || !s.up {
			return
		}
		for i := len(s.idle) - 1; i >= 0; i-- {
			if w := s.idle[i]; s.loop.now-w.since >= idleTTL {
				s.endWorker(s.takeIdle(w))
				s.changed()
			}
		}
		s.sweep(life)
	})
}
