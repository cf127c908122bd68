//go:build !linux

package sandbox

// Freeze stops nothing: without /proc it cannot be known what commands have started.
func Freeze(int) (thaw func(), err error) { return func() {}, nil }
