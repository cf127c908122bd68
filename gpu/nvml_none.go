//go:build !nvml || !linux

package gpu

import "context"

// openNVML says that this build cannot. Loading a library without cgo makes the
// program a dynamic one; the usual build is static.
func openNVML(context.Context, Options) (Source, error) {
	return nil, absence("this build has no NVML; build with -tags nvml")
}
