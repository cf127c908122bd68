package server

import (
	"context"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

// devicesOf is what the monitor saw last; without a monitor there are no GPUs.
func devicesOf(m *gpu.Monitor) []gpu.Device {
	if m == nil {
		return nil
	}
	return m.Snapshot().Devices
}

// gpusOf is the same for a status.
func gpusOf(m *gpu.Monitor) []function.GPU {
	var all []function.GPU
	for _, d := range devicesOf(m) {
		all = append(all, function.GPU{UUID: d.UUID, Name: d.Name, Memory: function.Memory{Budget: d.Total, Used: d.Used}})
	}
	return all
}

// gpusNow is gpusOf with what was measured at the start.
func (s *Server) gpusNow() []function.GPU {
	all := gpusOf(s.gpus)
	for i := range all {
		all[i].Strength = s.gpuStrengths[all[i].UUID]
	}
	return all
}

// maxReserve bounds what a driver itself keeps of a GPU, in bytes; more than that in use when the
// server starts is somebody else's, and may come back.
const maxReserve = 1 << 30

// offeredGPUs is what functions may ask for: what the driver keeps for itself is not in it.
func offeredGPUs(m *gpu.Monitor) []function.GPU {
	all := gpusOf(m)
	for i := range all {
		all[i].Memory.Budget -= min(all[i].Memory.Used, maxReserve)
	}
	return all
}

// startOnGPUs starts a worker. On a GPU only one starts at a time, so that what it loads
// can be told from the others' where the driver does not name processes.
func (s *Server) startOnGPUs(ctx context.Context, j startJob, command kind.Command) (w *worker.Worker, used map[string]int64, err error) {
	if len(j.gpus) == 0 {
		w, err = s.startIn(ctx, j, command)
		return w, nil, err
	}
	unlock, err := s.gpus.Lock(ctx, j.gpus)
	if err != nil {
		return nil, nil, function.AsError(err)
	}
	defer unlock()
	meter, err := s.gpus.Before(ctx, j.gpus)
	if err != nil {
		return nil, nil, noGPUNow(err)
	}
	if w, err = s.startIn(ctx, j, command); err != nil {
		return nil, nil, err
	}
	used, err = meter.After(ctx)
	if err != nil {
		s.log.Warn("what a worker takes of its GPUs is not known", "function", j.spec.FullName(), "error", err)
	}
	return w, used, nil
}

// noGPUNow is for a start whose GPU does not answer: another machine's may.
func noGPUNow(why error) *function.Error {
	e := function.Errorf(function.CodeNoCapacity, "its GPUs cannot be used at present: %v", why)
	e.RetryAfter = time.Second
	return e
}

// memoryBack bounds how long a GPU's memory may take to come back after its process
// has ended. Drivers take up to some seconds.
const memoryBack = 30 * time.Second

// slack is a part of a GPU's memory that is not waited for: drivers do not give back all at once.
const slack = 64

// reclaim waits until so much is free on each GPU again.
func (s *Server) reclaim(ctx context.Context, free map[string]int64) {
	ctx, cancel := context.WithTimeout(ctx, memoryBack)
	defer cancel()
	for uuid, want := range free {
		if err := s.gpus.MemoryBack(ctx, uuid, want-want/slack); err != nil {
			s.log.Warn("a GPU's memory did not come back after its process had ended", "gpu", uuid, "error", err)
		}
	}
}

// gpuUse is what each worker has on its GPUs, where the driver names our processes; else nil.
func (s *Server) gpuUse(slots []*slot) []map[string]int64 {
	if s.gpus == nil {
		return nil
	}
	now := s.gpus.Snapshot()
	if !now.PIDsVisible {
		return nil
	}
	all := make([]map[string]int64, len(slots))
	for i, slot := range slots {
		if w, ok := slot.process.(*worker.Worker); ok && len(slot.holding.gpus) > 0 {
			all[i] = now.UsedBy(w.Pid())
		}
	}
	return all
}
