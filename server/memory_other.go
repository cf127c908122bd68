//go:build !linux

package server

// MachineMemory is not known here.
func MachineMemory() int64 { return 0 }
