package server

import (
	"slices"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
)

// usualMemory is what a worker counts that declared nothing: OpenWhisk's default for
// an action's memory.
const usualMemory = 256 << 20

// A holding is what one worker has of the machine, from before its start until it has ended and
// its GPU memory is back. It is the owner's.
type holding struct {
	fn       *fn
	slot     *slot // nil while it starts
	claimed  int64 // bytes that it counts at least; see claim
	used     int64 // bytes, by the latest sample
	gpus     []string
	gpuBytes int64            // declared, on each; 0: nothing
	gpuUsed  map[string]int64 // bytes on each, by the latest sample
	others   map[string]int64 // bytes on each that were nobody's of ours when it began
	ending   bool
}

// memory is what the worker counts, in bytes: the larger of what it claims and what it uses.
func (h *holding) memory() int64 { return max(h.claimed, h.used) }

// claim is what a worker counts at least, in bytes. One that declared nothing fits into any
// budget (0: no limit): OpenWhisk's containers have 128 or 256 MB in all.
func claim(declared, budget int64) int64 {
	if declared > 0 {
		return declared
	}
	if budget > 0 {
		return min(usualMemory, budget)
	}
	return usualMemory
}

// A ledger is the account of the machine. It is the owner's.
type ledger struct {
	budget    int64 // bytes of memory; 0: no limit
	gpus      []gpu.Device
	gpuLabels []string // that the GPUs gave this machine
	holdings  map[*holding]struct{}
	clock     float64 // see value
}

// needOf is what one more worker takes. Who asks for a machine by a label that is
// a GPU's gets one.
func (l *ledger) needOf(r function.Requirements) need {
	n := need{Memory: claim(r.Memory, l.budget), GPUs: r.GPUs, GPUMemory: r.GPUMemory}
	asks := func(label string) bool { return slices.Contains(l.gpuLabels, label) }
	if n.GPUMemory > 0 || slices.ContainsFunc(r.Labels, asks) {
		n.GPUs = max(n.GPUs, 1)
	}
	return n
}

// take enters a worker that is about to start.
func (l *ledger) take(f *fn, uuids []string) *holding {
	h := &holding{fn: f, claimed: claim(f.spec.Require.Memory, l.budget), gpus: uuids}
	if len(uuids) > 0 {
		h.gpuBytes, h.others = f.spec.Require.GPUMemory, l.others(uuids)
	}
	l.holdings[h] = struct{}{}
	return h
}

// others is what programs that are not ours, and the driver, have on each of these GPUs. Workers
// that take less than they count hide it, so what was known when they began holds on.
func (l *ledger) others(uuids []string) map[string]int64 {
	all := map[string]int64{}
	for _, d := range l.gpus {
		if slices.Contains(uuids, d.UUID) {
			all[d.UUID] = max(0, d.Used-l.counted(d, nil))
		}
	}
	for h := range l.holdings {
		for uuid, bytes := range h.others {
			if known, wanted := all[uuid]; wanted {
				all[uuid] = max(known, bytes)
			}
		}
	}
	return all
}

// counted is what our workers count on a GPU, but for one.
func (l *ledger) counted(d gpu.Device, except *holding) int64 {
	var sum int64
	for h := range l.holdings {
		if h != except && slices.Contains(h.gpus, d.UUID) {
			sum += h.onGPU(d)
		}
	}
	return sum
}

// freeAfter is what will be free on each of a worker's GPUs when its memory there is back, in bytes.
func (l *ledger) freeAfter(h *holding) map[string]int64 {
	free := map[string]int64{}
	for _, d := range l.gpus {
		if slices.Contains(h.gpus, d.UUID) {
			free[d.UUID] = max(0, d.Total-l.counted(d, h)-h.others[d.UUID])
		}
	}
	return free
}

// release strikes out a worker that has ended.
func (l *ledger) release(h *holding) { delete(l.holdings, h) }

// taken is the memory that all workers count, in bytes, and how much of it is about to come back.
func (l *ledger) taken() (all, ending int64) {
	for h := range l.holdings {
		all += h.memory()
		if h.ending {
			ending += h.memory()
		}
	}
	return all, ending
}

// A share is who has how much of the memory, in bytes, without the workers that are about to end.
type share struct {
	namespaces map[string]int64
	functions  map[*fn]int64
}

func (l *ledger) share() share {
	all := share{map[string]int64{}, map[*fn]int64{}}
	for h := range l.holdings {
		if !h.ending {
			all.namespaces[h.fn.spec.Namespace] += h.memory()
			all.functions[h.fn] += h.memory()
		}
	}
	return all
}

// gpuBudgets is what the GPUs have and who has it. ending counts the workers that are about to end.
func (l *ledger) gpuBudgets(ending bool) []gpu.Budget {
	budgets := make([]gpu.Budget, len(l.gpus))
	for i, d := range l.gpus {
		b := gpu.Budget{UUID: d.UUID, Total: d.Total}
		for h := range l.holdings {
			if slices.Contains(h.gpus, d.UUID) && (ending || !h.ending) {
				b.Workers++
				b.Taken += h.onGPU(d)
			}
		}
		b.Taken += max(0, d.Used-l.counted(d, nil)) // others may use it too
		budgets[i] = b
	}
	return budgets
}

// onGPU is what a worker counts on a GPU, in bytes: the larger of what it declared and what it
// uses. Who did not say how much it needs has all of it.
func (h *holding) onGPU(d gpu.Device) int64 {
	if h.gpuBytes > 0 {
		return max(h.gpuBytes, h.gpuUsed[d.UUID])
	}
	return d.Total
}

// sums is a room without its idle workers.
func (l *ledger) sums() room {
	r := room{Budget: l.budget}
	r.Taken, r.Ending = l.taken()
	if len(l.gpus) > 0 {
		r.GPUs, r.Back = l.gpuBudgets(true), l.gpuBudgets(false)
	}
	return r
}

// room is the snapshot for makeRoom, and whose the idle workers are.
func (l *ledger) room() (room, []*slot) {
	r := l.sums()
	kept := map[*fn]int{}
	var slots []*slot
	for h := range l.holdings {
		s := h.slot
		if s == nil || s.gone || s.running > 0 || h.ending {
			continue
		}
		slots = append(slots, s)
	}
	// The most recently used of a function are those that it keeps.
	slices.SortFunc(slots, func(a, b *slot) int { return b.idleSince.Compare(a.idleSince) })
	for _, s := range slots {
		f, h := s.fn, s.holding
		busy := len(f.slots) - len(f.idle())
		r.Idle = append(r.Idle, idleWorker{
			Memory: h.memory(), GPUs: h.gpus, GPUMemory: l.gpuBytes(h), Since: s.idleSince,
			Unclaimed: len(f.leases) == 0, Kept: len(f.leases) > 0 && busy+kept[f] < f.spec.Require.Warm,
			Value: s.value,
		})
		kept[f]++
	}
	return r, slots
}

// gpuBytes is what a worker counts on each of its GPUs, as room wants it.
func (l *ledger) gpuBytes(h *holding) int64 {
	var most int64
	for _, d := range l.gpus {
		if slices.Contains(h.gpus, d.UUID) {
			most = max(most, h.onGPU(d))
		}
	}
	return most
}
