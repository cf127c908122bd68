package invoker

import (
	"slices"
	"strings"
)

// Status is what an invoker has just now.
type Status struct {
	Memory, Used int // megabytes: of all containers together, and taken
	Waiting      int // runs that wait for a container
	Running      int // runs in containers
	Containers   Containers
	Kinds        []KindStatus
}

// Containers counts containers by what they do.
type Containers struct {
	Starting int // up to the end of their /init
	Busy     int
	Idle     int // warm
	Paused   int // warm as well
	Prewarm  int // started in advance, for no action yet
	Leaving  int
}

// A KindStatus counts the containers of one kind, or of one image.
type KindStatus struct {
	Kind       string
	Containers Containers
	Wanted     int // in advance
}

// Status returns what there is just now.
func (v *Invoker) Status() Status { return v.pool.status() }

// Retire lets go the containers of an action's revisions before this one: the idle ones at
// once, the others when their runs have ended. action is "/namespace/package/name".
func (v *Invoker) Retire(action string, revision int64) { v.pool.retire(action, revision) }

func (p *pool) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Memory: p.plan.total, Used: p.plan.total - p.plan.free}
	kinds := map[string]*KindStatus{}
	kind := func(b base) *KindStatus {
		name := b.kind
		if b.image != "" {
			name = b.image
		}
		if kinds[name] == nil {
			kinds[name] = &KindStatus{Kind: name}
		}
		return kinds[name]
	}
	for _, st := range p.plan.stems {
		kind(st.base).Wanted += st.want
	}
	for _, l := range p.plan.lanes {
		s.Waiting += len(l.asks)
	}
	for b := range p.plan.boxes {
		s.Running += b.running
		s.Containers.count(b)
		kind(b.base).Containers.count(b)
	}
	for _, k := range kinds {
		s.Kinds = append(s.Kinds, *k)
	}
	slices.SortFunc(s.Kinds, func(a, b KindStatus) int { return strings.Compare(a.Kind, b.Kind) })
	return s
}

func (c *Containers) count(b *box) {
	switch {
	case b.state == stemStarting || b.state == starting:
		c.Starting++
	case b.state == stem:
		c.Prewarm++
	case b.state == leaving:
		c.Leaving++
	case b.running > 0:
		c.Busy++
	case b.paused:
		c.Paused++
	default:
		c.Idle++
	}
}
