package placement

import "time"

// An Obstacle is why a host does not get a function's next run now.
type Obstacle int

// The obstacles, in the order in which they are looked at.
const (
	NoObstacle  Obstacle = iota
	SmallMemory          // a worker would not even fit if it had all the memory
	SmallGPU             // nor the GPUs
	Broken               // its breaker is open
	Quiet                // it has not been heard for too long, see Host.Heard
	Full                 // it may have no further run at all
	Busy                 // it has the function, and no slot free
	OnItsWay             // it starts the function
	NoMemory             // others have the memory
	NoGPU                // others have the GPUs
	HasRefused           // it has refused this run; only the owner knows that
	Obstacles            // how many there are
)

// ObstacleAt says which condition keeps the host from a run of f, for the text of a refusal. It is not for each run.
func ObstacleAt(f *Function, h *Host, now time.Time) Obstacle {
	site := f.at[h]
	held := site != nil && site.State != Cold
	lack, _ := f.Need.lacks(h)
	switch {
	case !held && f.Need.exceeds(h) == memory:
		return SmallMemory
	case !held && f.Need.exceeds(h) == gpus:
		return SmallGPU
	case !h.Breaker.Allows(now):
		return Broken
	case h.quiet(now):
		return Quiet
	case h.Full:
		return Full
	case held && site.State == Starting:
		return OnItsWay
	case held && site.Load >= site.slots():
		return Busy
	case !held && lack == memory:
		return NoMemory
	case !held && lack == gpus:
		return NoGPU
	}
	return NoObstacle
}
