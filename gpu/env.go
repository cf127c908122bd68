package gpu

import "strings"

// Env returns the environment variables that tell a function its GPUs. Without any, CUDA
// is told to see none.
//
// UUIDs are used, and not indexes, since these change with each driver's order. The
// variables are those of NVIDIA's CUDA C++ Programming Guide, "CUDA Environment Variables",
// and of the NVIDIA Container Toolkit.
func Env(uuids []string) []string {
	list := strings.Join(uuids, ",")
	if list == "" {
		return []string{"CUDA_VISIBLE_DEVICES="}
	}
	return []string{"CUDA_VISIBLE_DEVICES=" + list, "CUDA_DEVICE_ORDER=PCI_BUS_ID", "NVIDIA_VISIBLE_DEVICES=" + list}
}
