package server

import (
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
)

// spareBench is a machine of 4 GB and two GPUs of 16 GB: one worker runs, one is idle, one is about to end.
func spareBench() (*owner, *fn, *fn) {
	o := &owner{limits: limits{workers: 16, memory: 4 << 30}}
	o.ledger = ledger{budget: 4 << 30, holdings: map[*holding]struct{}{}, gpuLabels: []string{"gpu"},
		gpus: []gpu.Device{{UUID: "g0", Total: 16 << 30}, {UUID: "g1", Total: 16 << 30}}}
	add := func(spec function.Spec, memory int64, running int, ending bool, gpus ...string) *fn {
		f := newFn(function.ID{}, spec, nil, "")
		h := &holding{fn: f, claimed: memory, gpus: gpus, ending: ending}
		h.slot = &slot{fn: f, holding: h, running: running}
		f.slots = []*slot{h.slot}
		o.ledger.holdings[h] = struct{}{}
		return f
	}
	busy := add(function.Spec{}, 1<<30, 1, false)
	idle := add(function.Spec{Require: function.Requirements{GPUs: 1, Memory: 1 << 30}}, 1<<30, 0, false, "g0")
	add(function.Spec{}, 1<<30, 0, true)
	return o, busy, idle
}

func TestSpareIsWhatFurtherWorkersCouldHave(t *testing.T) {
	o, busy, idle := spareBench()
	s := o.ledger.spare()
	m := s.memory(function.Memory{Budget: 4 << 30})
	if m.Room != 2<<30 || m.Idle != 1<<30 {
		t.Errorf("room %d and idle %d, want 2 GB and 1 GB", m.Room, m.Idle)
	}
	all := s.onGPUs([]function.GPU{{UUID: "g1"}, {UUID: "g0"}, {UUID: "gone"}})
	if all[0].Memory.Room != 16<<30 || all[1].Memory.Room != 1 || all[1].Memory.Idle != 16<<30 || all[2].Memory.Room != 0 {
		t.Errorf("%+v", all)
	}
	for _, c := range []struct {
		name string
		f    *fn
		r    function.Requirements
		want int
	}{
		{"256 MB each fit 12 times into 3 GB, beside the one that is there", busy, function.Requirements{}, 13},
		{"1 GB each", busy, function.Requirements{Memory: 1 << 30}, 4},
		{"too large for one more", busy, function.Requirements{Memory: 4 << 30}, 1},
		{"at most two", busy, function.Requirements{Workers: 2}, 2},
		{"its own idle worker's room is no further room", idle, function.Requirements{Memory: 1 << 30}, 3},
		{"a whole GPU each", idle, function.Requirements{GPUs: 1}, 2},
		{"8 GB of a GPU each", busy, function.Requirements{GPUMemory: 8 << 30}, 5},
	} {
		c.f.spec.Require = c.r
		if got := c.f.slotsIn(o, &s); got != c.want {
			t.Errorf("%s: %d slots, want %d", c.name, got, c.want)
		}
	}
}

// A machine without room says so: 0 would be "not known".
func TestNoRoomIsNotUnknown(t *testing.T) {
	s := spare{budget: 1 << 30}
	if m := s.memory(function.Memory{}); m.Room != 1 {
		t.Errorf("%+v", m)
	}
	unlimited := spare{}
	if m := unlimited.memory(function.Memory{}); m.Room != 0 {
		t.Errorf("without a limit: %+v", m)
	}
}
