package placement

// usualMemory is what a worker counts that declared nothing, in bytes: OpenWhisk's default for an
// action's memory, as the servers count it too.
const usualMemory = 256 << 20

// A lack is what a host has no room of.
type lack int8

const (
	nothing lack = iota
	memory
	gpus
)

// gpus returns how many GPUs a worker takes. Memory on a GPU that is asked for without a number is on one.
func (n Need) gpus() int {
	if n.GPUMemory > 0 {
		return max(n.GPUs, 1)
	}
	return n.GPUs
}

// lacks says what the host has too little of for one more worker, and whether idle workers of others
// must end for it.
func (n Need) lacks(h *Host) (l lack, evicts bool) {
	fits, evicts := h.Memory.fits(n.memoryAt(h))
	if !fits {
		return memory, false
	}
	count := n.gpus()
	if count == 0 {
		return nothing, evicts
	}
	fitting, free := 0, 0
	for i := range h.GPUs {
		fits, crowds := h.GPUs[i].fits(n.gpuMemory(h.GPUs[i]))
		if fits {
			fitting++
		}
		if fits && !crowds {
			free++
		}
	}
	if fitting < count {
		return gpus, false
	}
	return nothing, evicts || free < count
}

// exceeds says what the host would have too little of for a worker even if all were free.
func (n Need) exceeds(h *Host) lack {
	if h.Memory.Known && h.Memory.Total < n.memoryAt(h) {
		return memory
	}
	fitting := 0
	for _, gpu := range h.GPUs {
		if !gpu.Known || gpu.Total >= n.gpuMemory(gpu) {
			fitting++
		}
	}
	if fitting < n.gpus() {
		return gpus
	}
	return nothing
}

// Take reckons with a worker that has just been asked for, until the host itself says what room it has.
func (h *Host) Take(n Need) {
	if h.Memory.Known {
		h.Memory.take(n.memoryAt(h))
	}
	left := n.gpus()
	for i := range h.GPUs {
		gpu := &h.GPUs[i]
		size := n.gpuMemory(*gpu)
		if fits, _ := gpu.fits(size); left == 0 || !gpu.Known || !fits {
			continue
		}
		if n.GPUMemory == 0 {
			size = gpu.Free + gpu.Idle
		}
		gpu.take(size)
		left--
	}
}

func (r *Room) take(size int64) {
	free := min(size, r.Free)
	r.Free -= free
	r.Idle = max(0, r.Idle-(size-free))
}

// memoryAt is what a worker counts there. One that declares nothing fits into any budget.
func (n Need) memoryAt(h *Host) int64 {
	if n.Memory > 0 {
		return n.Memory
	}
	if h.Memory.Known {
		return min(usualMemory, h.Memory.Total)
	}
	return usualMemory
}

// gpuMemory is what a worker counts on a GPU. One that declares nothing gets the whole: more than
// half must be there, for others than functions (a screen, the driver) may have some of it, and the server
// has the last word.
func (n Need) gpuMemory(gpu Room) int64 {
	if n.GPUMemory > 0 {
		return n.GPUMemory
	}
	return gpu.Total/2 + 1
}

// fits reports whether a worker of that size has room, and whether only because idle ones end.
func (r Room) fits(size int64) (fits, evicts bool) {
	if !r.Known {
		return true, false
	}
	return r.Free+r.Idle >= size, r.Free < size
}
