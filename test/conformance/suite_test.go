package conformance

import (
	"slices"
	"testing"
)

// A place is the container that a case meets.
type place int

const (
	fresh  place = iota // one of its own, without a function
	unborn              // one without a function, for cases whose /init fails
	ready               // one with the function that does what it is asked
)

// A testCase is one thing that the contract asks for.
type testCase struct {
	name string
	on   place
	env  []string // of a fresh container
	do   func(t *testing.T, c *container)
}

// allCases is the table.
func allCases() []testCase {
	return slices.Concat(failingInits(), initBodies(), workingForms(), otherInits(), results(), sizes(), numbers(),
		variables(), deadlines(), logs(), manners(), ends(), overlaps())
}

func TestConformance(t *testing.T) {
	languages := []language{python(t), node(t), native(t)}
	for _, m := range []mode{localMode(t), clientMode(t)} {
		for _, l := range languages {
			t.Run(m.name+"/"+l.name, func(t *testing.T) {
				t.Parallel()
				conform(t, m, l)
			})
		}
	}
}

// conform runs the table for one language in one mode. Cases that share a
// container run one after the other.
func conform(t *testing.T, m mode, l language) {
	cases := slices.DeleteFunc(allCases(), func(c testCase) bool { return excepted(m, l, c.name) })
	for _, c := range on(cases, fresh) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			container := newContainer(t, m, l, c.env...)
			c.do(t, container)
			container.finish(t)
		})
	}
	t.Run("unborn", func(t *testing.T) {
		t.Parallel()
		container := newContainer(t, m, l)
		for _, c := range on(cases, unborn) {
			t.Run(c.name, func(t *testing.T) { c.do(t, container) })
			if container.born {
				container.finish(t)
				container = newContainer(t, m, l)
			}
		}
		container.mustInit(t, l.all, nil) // after all that has failed
		container.wantResult(t, `{"do":"echo"}`, `{"do":"echo"}`)
		container.finish(t)
	})
	t.Run("ready", func(t *testing.T) {
		t.Parallel()
		container := newContainer(t, m, l)
		container.mustInit(t, l.all, nil)
		for _, c := range on(cases, ready) {
			t.Run(c.name, func(t *testing.T) { c.do(t, container) })
		}
		container.finish(t)
	})
}

// on returns the cases of one place.
func on(cases []testCase, p place) []testCase {
	return slices.DeleteFunc(slices.Clone(cases), func(c testCase) bool { return c.on != p })
}
