package balancer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

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

// sameMachines reports whether two reports are of the same sizes and classes.
func sameMachines(x, y function.ServerStatus) bool {
	return x.CPUs == y.CPUs && x.Arch == y.Arch && x.Strength == y.Strength &&
		slices.EqualFunc(x.GPUs, y.GPUs, func(a, b function.GPU) bool { return cmp.Compare(a.Name, b.Name) == 0 })
}
