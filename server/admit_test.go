package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// fakeKinds stands for a kind.Set.
type fakeKinds []string

func (k fakeKinds) Kinds() (all []function.Kind) {
	for _, name := range k {
		all = append(all, function.Kind{Name: name})
	}
	return all
}

func (k fakeKinds) Serves(kind string) bool {
	return slices.Contains(k, strings.TrimSuffix(kind, ":default")) || kind == "python:default"
}

func TestAdmitWithFakeKinds(t *testing.T) {
	o := newOffer([]string{"region=eu"}, fakeKinds{"python:3", "native"},
		[]function.GPU{{Name: "NVIDIA H200", Memory: function.Memory{Budget: 140 << 30}}, {Name: "Tesla T4", Memory: function.Memory{Budget: 15 << 30}}}, 8<<30)
	for name, c := range map[string]struct {
		change func(s *function.Spec)
		code   function.Code
		words  string
	}{
		"nothing required":    {func(s *function.Spec) {}, "", ""},
		"labels that are":     {func(s *function.Spec) { s.Require.Labels = []string{"gpu", "h200", "region=eu", "t4"} }, "", ""},
		"a label that is not": {func(s *function.Spec) { s.Require.Labels = []string{"a100", "gpu"} }, function.CodeNoCapacity, `"a100" is not here; there are`},
		"what labels are":     {func(s *function.Spec) { s.Require.Labels = []string{"a100"} }, function.CodeNoCapacity, "region=eu"},
		"the default version": {func(s *function.Spec) { s.Kind = "python:default" }, "", ""},
		"another version":     {func(s *function.Spec) { s.Kind = "python:2" }, function.CodeNoCapacity, "python:3, native"},
		"another language":    {func(s *function.Spec) { s.Kind = "cobol:default" }, function.CodeNoCapacity, "cobol"},
		"no sense":            {func(s *function.Spec) { s.Main = "" }, function.CodeBadRequest, "main"},
		"memory":              {func(s *function.Spec) { s.Require.Memory = 9 << 30 }, function.CodeNoCapacity, "8192 MB"},
		"two GPUs":            {func(s *function.Spec) { s.Require.GPUs = 2 }, "", ""},
		"three GPUs":          {func(s *function.Spec) { s.Require.GPUs = 3 }, function.CodeNoCapacity, "needs 3 GPU(s), and here are 2"},
		"one large GPU":       {func(s *function.Spec) { s.Require.GPUMemory = 80 << 30 }, "", ""},
		"two large GPUs":      {func(s *function.Spec) { s.Require.GPUs, s.Require.GPUMemory = 2, 80<<30 }, function.CodeNoCapacity, "2 GPU(s) with 81920 MB for functions each, and here are 1"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := function.Spec{Namespace: "n", Action: "a", Kind: "python:3", Main: "main"}
			c.change(&spec)
			err := o.admit(spec)
			if placed := o.admitPlaced(spec); len(spec.Require.Labels) > 0 && placed != nil {
				t.Errorf("a balancer that has looked at the labels is refused: %v", placed)
			}
			if function.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v (%s)", err, function.CodeOf(err))
			}
		})
	}
}

// Who does not say what it needs fits into any machine; who does is told when that never fits.
func TestAdmitOnASmallMachineWithFakeKinds(t *testing.T) {
	o := newOffer(nil, fakeKinds{"python:3"}, nil, 200<<20)
	spec := function.Spec{Namespace: "n", Action: "a", Kind: "python:3", Main: "main"}
	if err := o.admit(spec); err != nil {
		t.Error(err)
	}
	spec.Require.Memory = 256 << 20
	if err := o.admit(spec); function.CodeOf(err) != function.CodeNoCapacity || !strings.Contains(err.Error(), "256 MB") {
		t.Errorf("got %v", err)
	}
}

func TestClaim(t *testing.T) {
	for _, c := range []struct{ declared, budget, want int64 }{
		{0, 0, usualMemory}, {0, 8 << 30, usualMemory}, {0, 100 << 20, 100 << 20}, {128 << 20, 8 << 30, 128 << 20}, {512 << 20, 100 << 20, 512 << 20},
	} {
		if got := claim(c.declared, c.budget); got != c.want {
			t.Errorf("claim(%d, %d) is %d, want %d", c.declared, c.budget, got, c.want)
		}
	}
}
