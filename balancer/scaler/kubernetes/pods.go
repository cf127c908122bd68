package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A pod is one, as far as we need it.
type pod struct {
	Metadata struct {
		Name              string     `json:"name"`
		CreationTimestamp time.Time  `json:"creationTimestamp"`
		DeletionTimestamp *time.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
}

// unmade are names for the replicas that have no pod yet, or lack one again. Of a
// StatefulSet they are the names that the pods will have.
func (d *Driver) unmade(s scale, pods []pod) (names []string) {
	if d.ordered() {
		for i := range s.Spec.Replicas {
			if name := d.name + "-" + strconv.Itoa(i); !has(pods, name) {
				names = append(names, name)
			}
		}
		return names
	}
	staying := 0
	for _, p := range pods {
		if p.Metadata.DeletionTimestamp == nil {
			staying++
		}
	}
	for i := 1; i <= s.Spec.Replicas-staying; i++ {
		names = append(names, fmt.Sprintf("%s (no pod yet, %d)", d.name, i))
	}
	return names
}

// missing reports whether the server is one of unmade.
func (d *Driver) missing(server string, s scale, pods []pod) bool {
	return slices.Contains(d.unmade(s, pods), server)
}

// ordinal is the number at the end of a StatefulSet's pod's name.
func (d *Driver) ordinal(server string) (int, bool) {
	digits, ok := strings.CutPrefix(server, d.name+"-")
	if !ok || !d.ordered() {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

func find(pods []pod, name string) (pod, bool) {
	for _, p := range pods {
		if p.Metadata.Name == name {
			return p, true
		}
	}
	return pod{}, false
}

func has(pods []pod, name string) bool {
	_, ok := find(pods, name)
	return ok
}
