package server

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
)

// An offer is what this machine has. It does not change.
type offer struct {
	labels []string // sorted
	found  []string // those of them that nobody had to give; sorted
	kinds  kinds
	gpus   []function.GPU
	memory int64 // bytes that functions may use; 0: not known
}

// kinds is what can be run here: a kind.Set.
type kinds interface {
	Kinds() []function.Kind
	Serves(kind string) bool
}

// newOffer adds to the given labels those that are found: the machine's, and its GPUs'.
func newOffer(given []string, k kinds, gpus []function.GPU, memory int64) offer {
	found := sorted(gpu.Labels(gpus), []string{runtime.GOOS, runtime.GOARCH})
	return offer{labels: sorted(given, found), found: found, kinds: k, gpus: gpus, memory: memory}
}

// sorted returns both lists as one, sorted, without duplicates.
func sorted(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// admit checks whether the function could run here at all. CodeNoCapacity says what is missing.
func (o offer) admit(spec function.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	for _, label := range spec.Require.Labels {
		if _, found := slices.BinarySearch(o.labels, label); !found {
			return function.Errorf(function.CodeNoCapacity, "the label %q is not here; there are %s", label, strings.Join(o.labels, ", "))
		}
	}
	return o.admitPlaced(spec)
}

// admitPlaced is admit for who has looked at the labels already, see Placed.
func (o offer) admitPlaced(spec function.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if !o.kinds.Serves(spec.Kind) {
		return function.Errorf(function.CodeNoCapacity, "the kind %q cannot be run here; there are %s", spec.Kind, o.kindNames())
	}
	return o.fits(spec.Require)
}

// fits checks what can be counted.
func (o offer) fits(r function.Requirements) error {
	if memory := claim(r.Memory, o.memory); o.memory > 0 && memory > o.memory {
		return function.Errorf(function.CodeNoCapacity, "a worker needs %d MB of memory, all functions here may use %d MB", memory>>20, o.memory>>20)
	}
	wanted := r.GPUs
	if r.GPUMemory > 0 {
		wanted = max(wanted, 1)
	}
	large := 0
	for _, g := range o.gpus {
		if g.Memory.Budget >= r.GPUMemory {
			large++
		}
	}
	if large < wanted {
		return function.Errorf(function.CodeNoCapacity, "a worker needs %s, and here are %d", gpuNeed(wanted, r.GPUMemory), large)
	}
	return nil
}

// gpuNeed says how many GPUs, and with how much memory each, for a person.
func gpuNeed(n int, memory int64) string {
	if memory == 0 {
		return fmt.Sprintf("%d GPU(s)", n)
	}
	return fmt.Sprintf("%d GPU(s) with %d MB for functions each", n, memory>>20)
}

func (o offer) kindNames() string {
	var names []string
	for _, k := range o.kinds.Kinds() {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}
