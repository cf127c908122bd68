package main

import (
	"reflect"
	"testing"
)

// short is how long the traces of tests are, for what they are in full.
const short = 0.04

// watched runs a trace, and looks after each event whether what must hold does.
func watched(t *testing.T, m maker, c contender) result {
	t.Helper()
	tr := m.trace(1, short)
	n := newFront(tr, c.make)
	i := 0
	for _, x := range tr.calls {
		n.loop.at(x.at, func() { n.policy.arrived(&run{call: x, f: tr.functions[x.fn]}) })
	}
	for n.tally.ended < len(tr.calls) && n.loop.step() {
		if i++; i%7 == 0 {
			holds(t, n.members[i/7%len(n.members)].server)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if n.tally.ended != len(tr.calls) {
		t.Fatalf("%d of %d calls ended", n.tally.ended, len(tr.calls))
	}
	return n.result()
}

// holds looks whether a server's account is right.
func holds(t *testing.T, s *server) {
	t.Helper()
	var used, idle int64
	idleWorkers := 0
	for _, h := range s.known {
		used += int64(h.workers+h.starting) * h.f.memory
		idle += int64(len(h.idle)) * h.f.memory
		idleWorkers += len(h.idle)
		if h.running+len(h.idle) != h.workers {
			t.Errorf("%d workers, of which %d run and %d are idle: a busy one was evicted, or one was lost", h.workers, h.running, len(h.idle))
		}
	}
	if used != s.room.used || idle != s.room.idle || idleWorkers != len(s.idle) {
		t.Errorf("workers have %d bytes, %d of them idle; the account says %d and %d", used, idle, s.room.used, s.room.idle)
	}
	if s.room.used > s.memory {
		t.Errorf("workers have %d bytes of %d", s.room.used, s.memory)
	}
	for _, g := range s.room.gpus {
		if g.used > g.total || g.used < 0 || g.idle > g.used {
			t.Errorf("a GPU's account is wrong: %+v", g)
		}
	}
}

// Each call ends once (front.end panics if it is twice), no server has more than it has, no busy worker goes.
func TestEachCallEndsOnceAndMemoryIsEnough(t *testing.T) {
	for _, m := range makers {
		if m.name == "big" {
			continue // as the others, but slow to watch
		}
		for _, c := range contenders() {
			t.Run(m.name+"/"+c.name, func(t *testing.T) {
				if r := watched(t, m, c); r.calls == 0 || r.mean <= 0 || r.starts == 0 {
					t.Errorf("nothing happened: %+v", r)
				}
			})
		}
	}
}

// The two traces have all that could be left to chance between them; the others take long.
func TestTheSameSeedGivesTheSameNumbers(t *testing.T) {
	for _, m := range makers {
		if m.name != "gpu" && m.name != "faults" {
			continue
		}
		for _, c := range contenders() {
			a := newFront(m.trace(3, short), c.make).simulate()
			b := newFront(m.trace(3, short), c.make).simulate()
			if !reflect.DeepEqual(a, b) {
				t.Errorf("%s, %s: %+v and then %+v", m.name, c.name, a, b)
			}
		}
	}
}

func TestAnotherSeedGivesAnotherTrace(t *testing.T) {
	for _, m := range makers {
		if a, b := m.trace(1, short), m.trace(2, short); reflect.DeepEqual(a.calls, b.calls) {
			t.Errorf("%s: seeds 1 and 2 give the same calls", m.name)
		}
	}
}
