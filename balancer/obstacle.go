package balancer

import (
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
)

// An obstacle is why a member that fits a function does not get its next run now.
type obstacle int

const (
	none        obstacle = iota
	smallMemory          // a worker would not even fit if it had all the memory
	smallGPU             // nor the GPUs
	setAside             // its breaker is open
	full                 // it has as many runs as it may have
	busy                 // it has the function, and no slot free
	starting             // it starts the function
	noMemory             // others have the memory
	noGPU                // others have the GPUs
	hasTried             // it has refused this run
	obstacles            // how many there are
)

// obstacleAt wants the lock.
func obstacleAt(f *fn, h *placement.Host, now time.Time) obstacle {
	site := f.place.At(h)
	held := site != nil && site.State != placement.Cold
	if o := lackOf(f.place.Need, h, roomAll); o != none && !held {
		return []obstacle{noMemory: smallMemory, noGPU: smallGPU}[o]
	}
	switch {
	case !h.Breaker.Allows(now):
		return setAside
	case h.Full:
		return full
	case !held:
		return lackOf(f.place.Need, h, roomNow)
	case site.State == placement.Starting:
		return starting
	case site.Slots > 0 && site.Load >= site.Slots:
		return busy
	}
	return none
}
