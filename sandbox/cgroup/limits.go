package cgroup

import "errors"

// ErrNone is returned by Open where no control group can be made. The error
// around it says for each hierarchy why.
var ErrNone = errors.New("no control groups can be used here")

// Limits are those of one group. The zero value of each means no limit. What
// the machine cannot enforce (see Manager.Enforced) is left out without an
// error.
type Limits struct {
	Memory    int64   // bytes; nothing beyond it goes to swap either
	Processes int     // the kernel counts each thread as one
	CPUs      float64 // 0.5 is half of one CPU's time
	Weight    int     // share of a busy CPU, 1 to 10000; others have 100
}

// Usage is what a group uses now. What the machine does not count is 0.
type Usage struct {
	Memory    int64 // bytes, without file cache that the kernel could take back
	Processes int   // each thread counts as one
	OOMKills  int   // processes killed for want of memory, since the group was made
}
