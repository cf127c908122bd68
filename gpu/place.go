package gpu

import (
	"cmp"
	"slices"
)

// A Budget is one GPU as Place sees it. Sizes are in bytes.
type Budget struct {
	UUID  string
	Total int64 // 0: not known
	// Taken is what the functions there count, declared or measured, the larger,
	// and what others use.
	Taken   int64
	Workers int // of functions
}

func (b Budget) room() int64 { return b.Total - b.Taken }

// Place chooses GPUs for one more worker, with memory bytes on each. devices are in
// the driver's order. It is pure.
//
// A worker that declares its memory gets the GPU with the least room that is
// enough (best fit), so that large ones stay free for who needs them. Among equals it
// is the one with the fewest workers, then the first. It shares with others that declared theirs.
//
// A worker that declares none (memory 0) may need any amount, so it gets a whole
// GPU: one where no worker is, and of those the one with the most room. Who gives
// it out counts all of that GPU as taken.
func Place(devices []Budget, count int, memory int64) (uuids []string, ok bool) {
	fits, better := shared(memory), leastRoom
	if memory <= 0 {
		fits, better = unused, mostRoom
	}
	var fitting []Budget
	for _, d := range devices {
		if fits(d) {
			fitting = append(fitting, d)
		}
	}
	if len(fitting) < count {
		return nil, false
	}
	slices.SortStableFunc(fitting, better)
	for _, d := range fitting[:max(count, 0)] {
		uuids = append(uuids, d.UUID)
	}
	return uuids, true
}

func shared(memory int64) func(Budget) bool {
	return func(b Budget) bool { return b.room() >= memory }
}

func unused(b Budget) bool {
	return b.Workers == 0 && (b.Total == 0 || b.room() > 0)
}

func leastRoom(a, b Budget) int {
	return cmp.Or(cmp.Compare(a.room(), b.room()), cmp.Compare(a.Workers, b.Workers))
}

func mostRoom(a, b Budget) int { return cmp.Compare(b.room(), a.room()) }
