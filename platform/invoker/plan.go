package invoker

import (
	"slices"
	"time"
)

// A key says whom a warm container belongs to.
type key struct {
	namespace string // the invoking one
	action    string // "/namespace/package/name"
	revision  int64
}

// A base says what a container is made of before it has an action.
type base struct {
	kind  string
	image string // the action's own; empty: the kind's
}

// A want is somebody who waits for a container.
type want struct {
	key    key
	memory int // megabytes
	fresh  bool
	since  time.Time
}

// A spare is an idle container.
type spare struct {
	key    key
	memory int
	since  time.Time // when it became idle
}

// patience is how long the first in the queue lets others go first who find
// their container warm. After that it is served even if that costs a warm one.
const patience = time.Second

// A grant says who of those that wait gets what.
type grant struct {
	want  int   // index of the want; -1: nobody can be served
	reuse int   // index of the spare to use; -1: start a new container
	evict []int // spares to remove first
}

// plan decides who is served next. free is the memory that nobody has taken.
func plan(wants []want, spares []spare, free int, now time.Time) grant {
	if len(wants) == 0 {
		return grant{want: -1, reuse: -1}
	}
	if now.Sub(wants[0].since) < patience {
		for i, w := range wants {
			if s := warmest(spares, w); s >= 0 {
				return grant{want: i, reuse: s}
			}
		}
	}
	if s := warmest(spares, wants[0]); s >= 0 {
		return grant{want: 0, reuse: s}
	}
	if evict, ok := makeRoom(spares, free, wants[0].memory); ok {
		return grant{want: 0, reuse: -1, evict: evict}
	}
	return grant{want: -1, reuse: -1}
}

// warmest returns the matching spare that was used last, so that the others may
// grow old and go; -1: there is none.
func warmest(spares []spare, w want) int {
	best := -1
	for i, s := range spares {
		if !w.fresh && s.key == w.key && (best < 0 || s.since.After(spares[best].since)) {
			best = i
		}
	}
	return best
}

// makeRoom returns which spares must go, the longest idle first, so that need fits.
func makeRoom(spares []spare, free, need int) (evict []int, ok bool) {
	order := make([]int, len(spares))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return spares[a].since.Compare(spares[b].since) })
	for _, i := range order {
		if free >= need {
			break
		}
		free += spares[i].memory
		evict = append(evict, i)
	}
	return evict, free >= need
}
