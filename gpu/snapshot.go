package gpu

import (
	"fmt"
	"slices"
	"time"
)

// A Snapshot is what a driver said at one time. It is read only.
type Snapshot struct {
	At        time.Time // when Devices were as they are here; zero: never
	Devices   []Device  // by index
	Processes []Usage
	// PIDsVisible says that the driver's PIDs are those that we see: among Processes is one
	// of ours. In a container the driver names the host's, if any.
	PIDsVisible bool
	// Err says what failed in the latest look. If all did, the rest is from an
	// earlier look, and after goneAfter there is no device left.
	Err error
}

// Device finds one GPU.
func (s Snapshot) Device(uuid string) (Device, bool) {
	i := slices.IndexFunc(s.Devices, func(d Device) bool { return d.UUID == uuid })
	if i < 0 {
		return Device{}, false
	}
	return s.Devices[i], true
}

// UsedBy tells what a process and all its descendants have on each GPU, in bytes, by
// UUID. It means something only if PIDsVisible.
func (s Snapshot) UsedBy(root int) map[string]int64 {
	used := make(map[string]int64)
	for _, u := range s.Processes {
		if descendsFrom(u.PID, root) {
			used[u.UUID] += u.Memory
		}
	}
	return used
}

// named tells whether one of these is ours.
func named(usages []Usage, ours int) bool {
	return slices.ContainsFunc(usages, func(u Usage) bool { return descendsFrom(u.PID, ours) })
}

func errGone(uuid string) error {
	return fmt.Errorf("the GPU %s is not here, or not any more", uuid)
}
