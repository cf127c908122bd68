package placement

import "time"

// RunTimes is what one function's runs take, by class of host. The zero value knows nothing.
type RunTimes struct {
	byClass map[string]time.Duration
}

// Ran tells that a run of f at h took so long in the function itself, without any waiting.
func (f *Function) Ran(h *Host, took time.Duration) {
	if f.Times.byClass == nil {
		f.Times.byClass = map[string]time.Duration{}
	}
	f.Times.byClass[h.Class] = blend(f.Times.byClass[h.Class], took)
}

func blend(old, now time.Duration) time.Duration {
	if old == 0 {
		return now
	}
	return old + (now-old)/8
}

// RunTime returns what a run of f at h can be expected to take; 0: not known at all.
func (f *Function) RunTime(h *Host) time.Duration { return f.Times.byClass[h.Class] }

// StartCosts is what a start at a host takes beside the function's own start: handing over the
// code, unpacking it, building its environment. The zero value knows nothing.
type StartCosts struct {
	byPresence [3]time.Duration
}

// Started tells that a start of f at h took so long in all; found is what it found there.
// own is how long the function's process took of that until it was ready; 0: not known.
func (f *Function) Started(h *Host, found Presence, took, own time.Duration) {
	f.Start = blend(f.Start, own)
	h.Costs.byPresence[found] = blend(h.Costs.byPresence[found], took-own)
}

// StartTime returns what a start of f at h can be expected to take, by what is there.
func (f *Function) StartTime(h *Host, found Presence) time.Duration {
	return max(f.Start, 300*time.Millisecond) + h.Costs.byPresence[found]
}

// Answered tells a measured round trip to the host: the time of a call less the time that the
// host itself says it took.
func (h *Host) Answered(rtt time.Duration) { h.RTT = blend(h.RTT, rtt) }
