package sandbox

// A Usage is what a command and all its descendants take, the shim included.
type Usage struct {
	// Memory is in bytes: the resident size, or where the exact size was asked for
	// and can be read the proportional one, which divides what several processes share.
	Memory    int64
	Processes int // processes and threads
}

// Memory is what the process and all its descendants hold in memory, in bytes,
// the shim included, exactly. It reads all of /proc: see Usages for many.
func (p *Process) Memory() int64 { return Usages([]*Process{p}, 0)[0].Memory }
