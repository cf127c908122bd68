package balancer

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// A class is what all functions with the same kind and labels have in common:
// where they can run. It is made when first needed after a change of what
// members offer, and is never changed.
type class struct {
	snapshot placement.Snapshot // of the members that fit
	fitting  map[*placement.Host]fitting
	byGPU    bool      // all have the labels because of their GPUs
	lastFit  time.Time // when a server that fits left; zero: none is remembered
}

// A fitting is a member that can run a class of functions.
type fitting struct {
	m       *member
	servers int  // its servers that fit
	cpus    int  // theirs together
	byGPU   bool // they have the labels because of their GPUs
}

func classKey(kind string, labels []string) string {
	return kind + "\x00" + strings.Join(labels, "\x00")
}

// classOf returns the function's class. It wants the lock.
func (b *Balancer) classOf(f *fn) *class {
	if f.class != nil && f.epoch == b.epoch {
		return f.class
	}
	c := b.classes[f.key]
	if c == nil {
		c = b.newClass(f.spec.Kind, f.spec.Require.Labels)
		b.classes[f.key] = c
	}
	f.class, f.epoch = c, b.epoch
	f.place.Need = needOf(f.spec.Require, c.byGPU && len(c.fitting) > 0)
	return c
}

func (b *Balancer) newClass(kind string, labels []string) *class {
	c := &class{fitting: map[*placement.Host]fitting{}, byGPU: true}
	var hosts []*placement.Host
	for _, m := range b.members {
		if fit, ok := fit(m, kind, labels); ok {
			c.fitting[m.host] = fit
			c.byGPU = c.byGPU && fit.byGPU
			hosts = append(hosts, m.host)
		}
	}
	slices.SortFunc(hosts, func(x, y *placement.Host) int { return cmp.Compare(x.Seed, y.Seed) })
	c.snapshot = placement.SnapshotOf(hosts)
	for _, g := range b.gone {
		if g.at.After(c.lastFit) && slices.ContainsFunc(g.servers, func(s function.ServerStatus) bool { return serves(s, kind, labels) }) {
			c.lastFit = g.at
		}
	}
	return c
}

// fit says whether m can run functions of that kind and those labels. One
// server must have all the labels: that two of them have half each is no help.
func fit(m *member, kind string, labels []string) (fitting, bool) {
	c := fitting{m: m, byGPU: true}
	for _, s := range m.status.Servers {
		if !s.Draining && serves(s, kind, labels) {
			c.servers++
			c.cpus += max(1, s.CPUs)
			c.byGPU = c.byGPU && givesLabel(s, labels)
		}
	}
	return c, c.servers > 0
}

// serves reports whether the server has the kind and all the labels.
func serves(s function.ServerStatus, kind string, labels []string) bool {
	return hasKind(s, kind) && hasLabels(s, labels)
}

func hasLabels(s function.ServerStatus, labels []string) bool {
	for _, l := range labels {
		if !slices.Contains(s.Labels, l) {
			return false
		}
	}
	return true
}

// hasKind takes "python:default" for any python: which one it is, the server says.
func hasKind(s function.ServerStatus, kind string) bool {
	family, isDefault := strings.CutSuffix(kind, ":default")
	return slices.ContainsFunc(s.Kinds, func(k function.Kind) bool {
		return k.Name == kind || isDefault && (k.Name == family || strings.HasPrefix(k.Name, family+":"))
	})
}

// sameOffer reports whether two reports offer the same to placement.
func sameOffer(a, b []function.ServerStatus) bool {
	return slices.EqualFunc(a, b, func(x, y function.ServerStatus) bool {
		return x.ID == y.ID && x.Draining == y.Draining && sameMachines(x, y) &&
			slices.Equal(x.Labels, y.Labels) && slices.Equal(x.Kinds, y.Kinds)
	})
}
