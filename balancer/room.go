package balancer

import (
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// roomOf is what a further worker could have. Who says nothing of room has nothing known.
func roomOf(m function.Memory) placement.Room {
	return placement.Room{Known: m.Room > 0 || m.Idle > 0, Total: m.Budget, Free: m.Room, Idle: m.Idle}
}

// larger is the room of a member with several servers: a worker needs it on one of them.
func larger(a, b placement.Room) placement.Room {
	if !a.Known || b.Known && b.Free+b.Idle > a.Free+a.Idle {
		b.Total = max(a.Total, b.Total)
		return b
	}
	a.Total = max(a.Total, b.Total)
	return a
}

// needOf is what one more worker takes. Who asks for a machine by a label that its GPUs gave it gets
// one of them, see the server's ledger; where some that fit have no GPU, the label was given by hand.
func needOf(r function.Requirements, byGPU bool) placement.Need {
	n := placement.Need{Memory: r.Memory, GPUs: r.GPUs, GPUMemory: r.GPUMemory}
	if n.GPUMemory > 0 || byGPU {
		n.GPUs = max(n.GPUs, 1)
	}
	return n
}

// givesLabel reports whether one of the labels is the server's because of its GPUs: "gpu", or a
// model as in "NVIDIA A100".
func givesLabel(s function.ServerStatus, labels []string) bool {
	for _, gpu := range s.GPUs {
		name := "-" + strings.ReplaceAll(strings.ToLower(gpu.Name), " ", "-") + "-"
		if slices.ContainsFunc(labels, func(l string) bool { return l == "gpu" || strings.Contains(name, "-"+l+"-") }) {
			return true
		}
	}
	return false
}

// hasGrown reports whether a place may have come for functions that had none before.
func hasGrown(before, now *placement.Host) bool {
	if grown(before.Memory, now.Memory) || len(before.GPUs) != len(now.GPUs) {
		return true
	}
	for i := range now.GPUs {
		if grown(before.GPUs[i], now.GPUs[i]) {
			return true
		}
	}
	return false
}

func grown(before, now placement.Room) bool {
	return before.Known != now.Known || now.Free+now.Idle > before.Free+before.Idle
}
