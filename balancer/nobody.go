package balancer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// whyNobody says which condition keeps all servers from running a function.
func whyNobody(servers []function.ServerStatus, spec function.Spec) string {
	labels := spec.Require.Labels
	if len(servers) == 0 {
		return "no server is connected; start one with: whiskaway server --balancer URL --token TOKEN" + labelFlags(labels)
	}
	var labelled, able, draining int
	for _, s := range servers {
		if hasLabels(s, labels) {
			labelled++
		}
		if serves(s, spec.Kind, labels) {
			able++
			if s.Draining {
				draining++
			}
		}
	}
	switch {
	case labelled == 0:
		return fmt.Sprintf("no connected server has %s; the labels there are: %s", quoted(labels), census(servers, labelsOf))
	case able == 0 && len(labels) > 0:
		return fmt.Sprintf("no connected server with %s runs the kind %q; the kinds there are: %s", quoted(labels), spec.Kind, census(withLabels(servers, labels), kindsOf))
	case able == 0:
		return fmt.Sprintf("no connected server runs the kind %q; the kinds there are: %s", spec.Kind, census(servers, kindsOf))
	case draining == able:
		return fmt.Sprintf("every connected server %s is draining: it takes nothing new", wanted(spec))
	}
	return fmt.Sprintf("a server %s has just come; try again", wanted(spec))
}

func labelFlags(labels []string) string {
	var flags strings.Builder
	for _, l := range labels {
		flags.WriteString(" --label " + l)
	}
	return flags.String()
}

// wanted says what a server needs for spec: `with the label "gpu" and the kind "python:3"`.
func wanted(spec function.Spec) string {
	kind := fmt.Sprintf("the kind %q", spec.Kind)
	if len(spec.Require.Labels) == 0 {
		return "with " + kind
	}
	return "with " + quoted(spec.Require.Labels) + " and " + kind
}

func quoted(labels []string) string {
	if len(labels) == 1 {
		return fmt.Sprintf("the label %q", labels[0])
	}
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = fmt.Sprintf("%q", l)
	}
	return "all of the labels " + strings.Join(texts, ", ")
}

func labelsOf(s function.ServerStatus) []string { return s.Labels }

func kindsOf(s function.ServerStatus) []string {
	names := make([]string, len(s.Kinds))
	for i, k := range s.Kinds {
		names[i] = k.Name
	}
	return names
}

func withLabels(servers []function.ServerStatus, labels []string) []function.ServerStatus {
	return slices.DeleteFunc(slices.Clone(servers), func(s function.ServerStatus) bool { return !hasLabels(s, labels) })
}

// censusLimit bounds how many names an error lists.
const censusLimit = 30

// census counts the servers for each name: "llm (1 server), amd64 (2 servers)".
// The rare ones tell most, so they come first.
func census(servers []function.ServerStatus, namesOf func(function.ServerStatus) []string) string {
	count := map[string]int{}
	for _, s := range servers {
		for _, name := range namesOf(s) {
			count[name]++
		}
	}
	if len(count) == 0 {
		return "none"
	}
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[a], count[b]), cmp.Compare(a, b))
	})
	var texts []string
	for _, name := range names[:min(len(names), censusLimit)] {
		texts = append(texts, fmt.Sprintf("%s (%d %s)", name, count[name], plural(count[name], "server")))
	}
	if more := len(names) - censusLimit; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
