package main

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/strength"
)

// inUse is from how much memory that is taken on a GPU, in bytes, somebody uses it at the start: a
// driver keeps some hundred MB. Such a GPU is not measured, for that would tell of its
// other user.
const inUse = 1 << 30

// measure finds out how strong the machine is, or reads it in dir from an earlier start. It is
// called before anything runs here.
func (m *machine) measure(ctx context.Context, dir string) {
	asked := strength.Machine{Driver: strength.DriverVersion(), Python: m.kinds.Interpreter("python"), Log: m.log}
	var idle []gpu.Device
	if m.gpus != nil {
		idle = m.idleGPUs()
	}
	for _, d := range idle {
		asked.GPUs = append(asked.GPUs, d.UUID)
	}
	m.strengths = strength.Of(ctx, dir, asked)
	m.tellStrength()
	m.awaitMemory(ctx, idle)
}

func (m *machine) tellStrength() {
	words := []any{"cpu", hundredths(m.strengths.CPU)}
	for _, uuid := range slices.Sorted(maps.Keys(m.strengths.GPUs)) {
		words = append(words, uuid, hundredths(m.strengths.GPUs[uuid]))
	}
	m.log.Info("the strength of this machine", words...)
}

func hundredths(x float64) float64 { return math.Round(x*100) / 100 }

// idleGPUs are those that nobody else uses.
func (m *machine) idleGPUs() []gpu.Device {
	var idle []gpu.Device
	for _, d := range m.gpus.Snapshot().Devices {
		if d.Used < inUse {
			idle = append(idle, d)
			continue
		}
		m.log.Info("a GPU's strength is not measured: somebody uses it", "gpu", d.UUID, "name", d.Name)
	}
	return idle
}

// memoryBack bounds how long a GPU's memory may take to come back after it was measured.
const memoryBack = 5 * time.Second

// awaitMemory waits until the GPUs are as free as they were, so that the server offers all that
// there is.
func (m *machine) awaitMemory(ctx context.Context, before []gpu.Device) {
	ctx, cancel := context.WithTimeout(ctx, memoryBack)
	defer cancel()
	for _, d := range before {
		if !slices.Contains(m.strengths.Tried, d.UUID) {
			continue
		}
		if err := m.gpus.MemoryBack(ctx, d.UUID, d.Free-d.Free/64); err != nil {
			m.log.Warn("after it was measured a GPU has less memory than before", "error", err)
		}
	}
}
