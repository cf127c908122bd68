package worker

import "github.com/whiskaway/whiskaway/sandbox"

// Usages measures many workers in one pass; see sandbox.Usages. exactAbove is in
// bytes.
func Usages(ws []*Worker, exactAbove int64) []sandbox.Usage {
	procs := make([]*sandbox.Process, len(ws))
	for i, w := range ws {
		procs[i] = w.proc
	}
	return sandbox.Usages(procs, exactAbove)
}
