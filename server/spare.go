package server

import (
	"slices"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
)

// A spare is what further workers could have of the machine, for a status. It says what could be had,
// not who gets it: idle workers that are too young to be evicted count as idle.
type spare struct {
	budget int64 // bytes of memory; 0: no limit
	room   int64 // bytes that nobody has, or that are about to come back
	idle   int64 // bytes that idle workers would leave
	gpus   []spareGPU
}

// A spareGPU is the same of one GPU.
type spareGPU struct {
	gpu.Budget       // without the workers that are about to end
	idle       int64 // bytes that idle workers would leave
}

// spare looks at each worker once.
func (l *ledger) spare() spare {
	s := spare{budget: l.budget, room: l.budget}
	for _, b := range l.gpuBudgets(false) {
		s.gpus = append(s.gpus, spareGPU{Budget: b})
	}
	for h := range l.holdings {
		if h.ending {
			continue
		}
		s.room -= h.memory()
		if !h.isIdle() {
			continue
		}
		s.idle += h.memory()
		for i, d := range l.gpus {
			if slices.Contains(h.gpus, d.UUID) {
				s.gpus[i].idle += h.onGPU(d)
			}
		}
	}
	s.room = max(0, s.room)
	return s
}

// isIdle reports whether the worker is up and has no run.
func (h *holding) isIdle() bool { return h.slot != nil && !h.slot.gone && h.slot.running == 0 }

// some is a number of bytes of which 0 would say that it is not known.
func some(bytes int64) int64 { return max(1, bytes) }

// memory adds the room to a status. Without a limit there is nothing to say.
func (s *spare) memory(m function.Memory) function.Memory {
	if s.budget > 0 {
		m.Room, m.Idle = some(s.room), s.idle
	}
	return m
}

// onGPUs adds the room of each. What the driver and others have there is not in it.
func (s *spare) onGPUs(gpus []function.GPU) []function.GPU {
	for i := range gpus {
		for _, b := range s.gpus {
			if b.UUID == gpus[i].UUID {
				gpus[i].Memory.Room, gpus[i].Memory.Idle = some(max(0, b.Total-b.Taken)), b.idle
			}
		}
	}
	return gpus
}

// workers is for how many further workers of that need there is room, when idle ones end; at most
// limit. own is how many idle ones are the function's: they would not be further ones.
func (s *spare) workers(n need, own, limit int) int {
	if s.budget > 0 && n.Memory > 0 {
		limit = min(limit, int(min((s.room+s.idle)/n.Memory, maxWorkers))-own)
	}
	if n.GPUs > 0 {
		limit = min(limit, s.places(n)/n.GPUs-own)
	}
	return max(0, limit)
}

// places counts the GPUs that workers of that need could have one by one.
func (s *spare) places(n need) (places int) {
	for _, g := range s.gpus {
		switch {
		case n.GPUMemory > 0:
			places += int(min((max(0, g.Total-g.Taken)+g.idle)/n.GPUMemory, maxWorkers))
		case g.Workers == 0, g.idle > 0 && g.idle >= g.Taken:
			places++
		}
	}
	return places
}

// slotsIn is how many runs of f the machine can have at once: with the workers that it has,
// those that start, and those for which there is room. It is at least one: that one may wait here, so
// that the others see that somebody does.
func (f *fn) slotsIn(o *owner, room *spare) int {
	have, idle := len(f.slots)+f.starting, 0
	for _, s := range f.slots {
		if s.running == 0 {
			idle++
		}
	}
	further := room.workers(o.ledger.needOf(f.spec.Require), idle, max(0, f.max(o)-have))
	return max(1, (have+further)*f.perSlot)
}
