package placement

import "time"

// A Host is what is known of one member. A member may be a balancer with several
// servers; then the numbers are theirs together. Zero means "not known" everywhere, and then
// counts as ordinary. Its owner changes it; Place only reads it.
type Host struct {
	Seed     uint64        // of its ID; it ranks the host for each function, see Rank
	Class    string        // what makes run times comparable: the same CPU and GPU models; "" is one too
	CPUs     int           // of its servers together
	Strength float64       // of one CPU as it measured itself; 1 is the reference, 0 not known
	RTT      time.Duration // round trip to it, smoothed
	Load     int           // runs there now: ours in flight, and others' by its last report
	Starting int           // starts of ours in flight there
	Full     bool          // it may have no further run of ours at all
	Breaker  Breaker
	Costs    StartCosts
	Memory   Room   // for further workers
	GPUs     []Room // of each GPU
	slow     slowness
	heardAt  time.Time // see Heard
	loadThen int       // Load when it was last heard
}

// A Room is what a further worker could have of a resource, in bytes.
type Room struct {
	Known bool  // false: nothing is known, so everything fits
	Total int64 // what there is at all
	Free  int64 // nobody has it
	Idle  int64 // idle workers have it, who would end for others
}

// A Function is what is known of one function. Its owner changes it; Place only reads it.
type Function struct {
	Seed   uint64 // of its ID
	Need   Need
	Times  RunTimes
	Start  time.Duration // from the process's start until it is ready, on a host of strength 1; 0: not known
	Sites  []*Site       // in no particular order; see Add
	starts StartCosts
	at     map[*Host]*Site
}

// A Need is what one more worker of a function takes. Zero: not declared.
type Need struct {
	Memory    int64 // bytes
	GPUs      int
	GPUMemory int64 // bytes on each
}

// A State says what a site has of its function.
type State int8

// The states.
const (
	Cold     State = iota // no worker; see Site.Present
	Starting              // a start of ours is in flight
	Ready                 // at least one worker, or the host starts them by itself
)

// A Presence says what of a function a host has that has no worker of it.
type Presence int8

// The presences.
const (
	Absent   Presence = iota // nothing
	HasCode                  // the code's bytes
	Prepared                 // the code unpacked, its environment built: it was ready there before
)

// A Site is one function at one host.
type Site struct {
	Host    *Host
	State   State
	Present Presence  // what a start would find, or has found
	Load    int       // runs of the function there: ours in flight, and others' by the last report
	Slots   int       // runs that it can have at once, workers that it could still start included
	Began   time.Time // Starting: when the start began
	UsedAt  time.Time // when a run of ours last began there
	// Owner is the owner's own record of the site; placement never looks at it.
	Owner any
}

// At returns the function's site at a host, or nil.
func (f *Function) At(h *Host) *Site { return f.at[h] }

// Add makes a site known; there must be none for the same host.
func (f *Function) Add(s *Site) {
	if f.at == nil {
		f.at = map[*Host]*Site{}
	}
	f.at[s.Host] = s
	f.Sites = append(f.Sites, s)
}

// Remove forgets the function's site at a host.
func (f *Function) Remove(h *Host) {
	delete(f.at, h)
	for i, s := range f.Sites {
		if s.Host == h {
			last := len(f.Sites) - 1
			f.Sites[i] = f.Sites[last]
			f.Sites[last] = nil
			f.Sites = f.Sites[:last]
			return
		}
	}
}
