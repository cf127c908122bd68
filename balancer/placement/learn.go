package placement

import "time"

// RunTimes is what one function's runs take, by class of host. The zero value knows nothing.
type RunTimes struct {
	byClass map[string]time.Duration
}

// Ran tells that a run of f at h took so long in the function itself, without any waiting.
func (f *Function) Ran(h *Host, took time.Duration) { panic("to be written") }

// RunTime returns what a run of f at h can be expected to take; 0: not known at all.
func (f *Function) RunTime(h *Host) time.Duration { panic("to be written") }

// StartCosts is what a start at a host takes beside the function's own start: handing over the
// code, unpacking it, building its environment. The zero value knows nothing.
type StartCosts struct {
	byPresence [3]time.Duration
}

// Started tells that a start of f at h took so long in all; found is what it found there.
// own is how long the function's process took of that until it was ready; 0: not known.
func (f *Function) Started(h *Host, found Presence, took, own time.Duration) { panic("to be written") }

// StartTime returns what a start of f at h can be expected to take, by what is there.
func (f *Function) StartTime(h *Host, found Presence) time.Duration { panic("to be written") }

// Answered tells a measured round trip to the host: the time of a call less the time that the
// host itself says it took.
func (h *Host) Answered(rtt time.Duration) { panic("to be written") }
