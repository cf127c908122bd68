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

func roomAll(r placement.Room) int64 { return r.Total }
func roomNow(r placement.Room) int64 { return r.Free + r.Idle }

// lackOf says what one more worker would lack there, by that much of each room: noMemory, noGPU or none.
func lackOf(n placement.Need, h *placement.Host, have func(placement.Room) int64) obstacle {
	if h.Memory.Known && have(h.Memory) < memoryOf(n, h.Memory) {
		return noMemory
	}
	fitting := 0
	for _, gpu := range h.GPUs {
		if !gpu.Known || have(gpu) >= onGPU(n, gpu) {
			fitting++
		}
	}
	if fitting < n.GPUs {
		return noGPU
	}
	return none
}

// usualMemory is what servers count for a worker that declared nothing.
const usualMemory = 256 << 20

func memoryOf(n placement.Need, r placement.Room) int64 {
	if n.Memory > 0 {
		return n.Memory
	}
	return min(usualMemory, r.Total)
}

// onGPU is what a worker needs of a GPU. One that says nothing takes a whole: the driver's part
// of it does not count.
func onGPU(n placement.Need, gpu placement.Room) int64 {
	if n.GPUMemory > 0 {
		return n.GPUMemory
	}
	return gpu.Total/2 + 1
}
