//go:build !linux

package sandbox

// Memory is 0: not known here.
func (p *Process) Memory() int64 { return 0 }
