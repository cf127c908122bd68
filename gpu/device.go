package gpu

import "context"

// A Device is one GPU. Sizes are in bytes.
type Device struct {
	UUID  string // "GPU-..."
	Name  string // "NVIDIA H200"
	Index int    // as the driver counts
	// Total is 0 where the driver does not know: a GPU that shares the
	// machine's memory. Then Free and Used are 0 too.
	Total int64
	Free  int64
	Used  int64 // Total - Free, also what the driver keeps for itself
}

// A Usage is what one process has on one GPU. Its PID is the one on the host:
// inside a container it means nothing, see Snapshot.PIDsVisible.
type Usage struct {
	UUID   string
	PID    int
	Memory int64 // bytes
}

// A Source asks a driver. Each answer comes within a time limit, also when the
// driver hangs. Sources may be used by many goroutines.
type Source interface {
	// Devices lists the GPUs as they are now, by index. Where some answer and
	// some do not, it returns those that do and says in the error which do not.
	Devices(ctx context.Context) ([]Device, error)
	// Processes lists the processes that compute, where the driver says
	// how much each has.
	Processes(ctx context.Context) ([]Usage, error)
	// Close ends the source, and waits for what it started.
	Close() error
	// Name is for people: "NVML" or "nvidia-smi".
	Name() string
}
