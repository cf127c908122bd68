package balancer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// describe tells placement what a report says of the member's servers together. It wants the lock.
func (m *member) describe(servers []function.ServerStatus) {
	h := m.host
	h.CPUs, h.Strength, h.Memory = 0, 0, placement.Room{}
	h.GPUs = h.GPUs[:0]
	strong := 0
	for _, s := range servers {
		if s.Draining {
			continue
		}
		h.CPUs += max(1, s.CPUs)
		if s.Strength > 0 {
			h.Strength += s.Strength
			strong++
		}
		h.Memory = larger(h.Memory, roomOf(s.Memory))
		for _, gpu := range s.GPUs {
			h.GPUs = append(h.GPUs, roomOf(gpu.Memory))
		}
	}
	if strong > 0 {
		h.Strength /= float64(strong)
	}
	h.Class = classOfHost(servers)
}

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

// classOfHost is the class of machine by which run times are comparable: "amd64 x1.2 NVIDIA A100". A
// member with different servers is a class of its own kind, the sum of theirs.
func classOfHost(servers []function.ServerStatus) string {
	classes := make([]string, 0, 1)
	for _, s := range servers {
		if c := classOfServer(s); !slices.Contains(classes, c) {
			classes = append(classes, c)
		}
	}
	slices.Sort(classes)
	return strings.Join(classes, " + ")
}

func classOfServer(s function.ServerStatus) string {
	class := s.Arch
	if s.Strength > 0 {
		class += fmt.Sprintf(" x%.1f", bucket(s.Strength))
	}
	names := make([]string, 0, len(s.GPUs))
	for _, gpu := range s.GPUs {
		names = append(names, gpu.Name)
	}
	slices.Sort(names)
	return strings.Join(append([]string{class}, slices.Compact(names)...), " ")
}

// bucket rounds a strength to steps of about a fifth (four to a doubling), so that what a
// measurement's noise tells apart is one class.
func bucket(strength float64) float64 {
	return math.Exp2(math.Round(4*math.Log2(strength)) / 4)
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
		name := strings.ReplaceAll(strings.ToLower(gpu.Name), " ", "-")
		if slices.ContainsFunc(labels, func(l string) bool { return l == "gpu" || strings.Contains(name, l) }) {
			return true
		}
	}
	return false
}

// takeRoom reckons with a worker that has just been asked for, until the next report does. It wants the lock.
func takeRoom(h *placement.Host, n placement.Need) {
	if h.Memory.Known {
		take(&h.Memory, memoryOf(n, h.Memory))
	}
	left := n.GPUs
	for i := range h.GPUs {
		gpu := &h.GPUs[i]
		if size := onGPU(n, *gpu); left > 0 && gpu.Known && gpu.Free+gpu.Idle >= size {
			if n.GPUMemory == 0 {
				size = gpu.Free + gpu.Idle
			}
			take(gpu, size)
			left--
		}
	}
}

func take(r *placement.Room, size int64) {
	free := min(size, r.Free)
	r.Free -= free
	r.Idle = max(0, r.Idle-(size-free))
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

// A kept is what was learned of a member that left, so that it need not be learned again.
type kept struct {
	host placement.Host
	at   time.Time // when it left
}

const (
	keepFor  = time.Hour // what was learned of a member that does not come back
	keepMost = 10_000    // such members, at most

	// flapTime is how long a member must stay for its leaving to be no failure. A connection
	// that breaks so soon after it was made will break again.
	flapTime = 10 * time.Second
)

// hostOf makes placement's record of a member, from what was learned when it was last here. It wants the lock.
func (b *Balancer) hostOf(id string) *placement.Host {
	h := &placement.Host{}
	if k, ok := b.kept[id]; ok {
		*h = k.host
		h.Load, h.Starting, h.Full = 0, 0, false // those were the old connection's
		h.Memory, h.GPUs = placement.Room{}, nil
		delete(b.kept, id)
	}
	h.Seed = seedOf(id)
	h.Breaker.Seed = h.Seed
	return h
}

// keepHost keeps what was learned of a member that leaves. One that stayed for a while begins
// anew with a closed breaker: it has just proved that it can be reached. It wants the lock.
func (b *Balancer) keepHost(m *member, now time.Time) {
	if m.reports > 0 && now.Sub(m.since) < flapTime {
		b.failed(m, m.since, now)
	} else {
		m.host.Breaker = placement.Breaker{}
	}
	for id, k := range b.kept {
		if now.Sub(k.at) > keepFor {
			delete(b.kept, id)
		}
	}
	if len(b.kept) < keepMost {
		b.kept[m.ID] = kept{host: *m.host, at: now}
	}
}

// sameMachines reports whether two reports are of the same sizes and classes.
func sameMachines(x, y function.ServerStatus) bool {
	return x.CPUs == y.CPUs && x.Arch == y.Arch && x.Strength == y.Strength &&
		slices.EqualFunc(x.GPUs, y.GPUs, func(a, b function.GPU) bool { return cmp.Compare(a.Name, b.Name) == 0 })
}
