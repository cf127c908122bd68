//go:build !linux

package sandbox

// Usages is zero for all: not known here.
func Usages(procs []*Process, exactAbove int64) []Usage { return make([]Usage, len(procs)) }

// UsagesOf is zero for all: not known here.
func UsagesOf(shims []int, exactAbove int64) []Usage { return make([]Usage, len(shims)) }

// Descendants cannot be counted here: 1 stands for the command alone.
func (p *Process) Descendants() int { return 1 }
