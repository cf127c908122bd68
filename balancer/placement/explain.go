package placement

import (
	"slices"
	"time"
)

// Reasons counts why hosts cannot take a function's next run. Each host counts once.
type Reasons struct {
	Hosts    int       // all in the snapshot
	Tried    int       // refused this run
	Broken   int       // set aside by their breaker
	Quiet    int       // have not been heard for too long; see Host.Heard
	Full     int       // may have no further run at all
	Starting int       // are starting the function
	Busy     int       // have it ready, but no free slot
	NoMemory int       // lack memory for one more worker
	NoGPU    int       // lack GPUs, or memory on them
	RetryAt  time.Time // when the first of the broken is tried again; zero: none is broken
}

// Usable is how many hosts could run or start it now.
func (r Reasons) Usable() int {
	return r.Hosts - r.Tried - r.Broken - r.Quiet - r.Full - r.Starting - r.Busy - r.NoMemory - r.NoGPU
}

// Explain says which condition removes which hosts for the function's next run, for the text of a
// refusal. It is not for each run.
func Explain(s Snapshot, f *Function, r Request, now time.Time) Reasons {
	out := Reasons{Hosts: len(s.Hosts)}
	for _, h := range s.Hosts {
		if count := out.of(f, h, r.Tried, now); count != nil {
			*count++
		}
		out.RetryAt = sooner(out.RetryAt, h.Breaker.RetryAt(), now)
	}
	return out
}

// of is the count that the host belongs to; nil: it is usable.
func (r *Reasons) of(f *Function, h *Host, tried []*Host, now time.Time) *int {
	site := f.at[h]
	switch {
	case slices.Contains(tried, h):
		return &r.Tried
	case !h.Breaker.Allows(now):
		return &r.Broken
	case h.quiet(now):
		return &r.Quiet
	case h.Full:
		return &r.Full
	case site != nil && site.State == Starting:
		return &r.Starting
	case site != nil && site.State == Ready && site.Load < site.slots():
		return nil
	case site != nil && site.State == Ready:
		return &r.Busy
	}
	switch lack, _ := f.Need.lacks(h); lack {
	case memory:
		return &r.NoMemory
	case gpus:
		return &r.NoGPU
	}
	return nil
}
