package main

import (
	"os"
	"runtime"
)

// shimCommand is the hidden command that becomes process 1 of each worker's
// world; see package sandbox.
const shimCommand = "shim"

// self returns the command line that starts this very program again with args.
// On Linux it survives that the binary is replaced while we run.
func self(args ...string) ([]string, error) {
	path := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	return append([]string{path}, args...), nil
}
