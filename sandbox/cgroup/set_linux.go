package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// set writes all limits that this tree can enforce.
func (t *tree) set(dir string, l Limits) error {
	if t.has("memory") {
		if err := t.prepareMemory(dir, l.Memory); err != nil {
			return err
		}
	}
	if t.has("pids") && l.Processes > 0 {
		if err := write(dir, "pids.max", strconv.Itoa(l.Processes)); err != nil {
			return fmt.Errorf("limit processes: %w", err)
		}
	}
	if t.has("cpu") {
		return t.setCPU(dir, l.CPUs, l.Weight)
	}
	return nil
}

// prepareMemory is for a new group. If it must lose one process for want of
// memory, it loses all, where v2 can do that: half a worker is of no use.
func (t *tree) prepareMemory(dir string, limit int64) error {
	if t.v2 {
		if err := ignore(write(dir, "memory.oom.group", "1"), fs.ErrNotExist); err != nil {
			return fmt.Errorf("tie the group together: %w", err)
		}
	}
	if limit <= 0 {
		return nil
	}
	return t.setMemory(dir, limit)
}

// setMemory limits memory, 0 for no limit, and lets nothing beyond it go to
// swap. Without swap accounting only memory is limited.
func (t *tree) setMemory(dir string, limit int64) error {
	err := t.writeMemory(dir, limit)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("limit memory to %d bytes: more is in use and cannot be taken back: %w", limit, err)
	}
	if err != nil {
		return fmt.Errorf("limit memory to %d bytes: %w", limit, err)
	}
	return nil
}

func (t *tree) writeMemory(dir string, limit int64) error {
	memory, swap := "max", "max"
	if limit > 0 {
		memory, swap = strconv.FormatInt(limit, 10), "0"
	}
	if t.v2 {
		if err := ignore(write(dir, "memory.swap.max", swap), fs.ErrNotExist); err != nil {
			return err
		}
		return write(dir, "memory.max", memory)
	}
	if limit <= 0 {
		memory = "-1"
	}
	// Version 1 limits the sum of memory and swap, and that limit must never be
	// below the memory's. So first it goes out of the way.
	sum := "memory.memsw.limit_in_bytes"
	counted := write(dir, sum, "-1") == nil
	if err := write(dir, "memory.limit_in_bytes", memory); err != nil || !counted {
		return err
	}
	return write(dir, sum, memory)
}

// cpuPeriod is the kernel's own default, in microseconds.
const cpuPeriod = 100_000

func (t *tree) setCPU(dir string, cpus float64, weight int) error {
	if cpus > 0 {
		quota := max(int(cpus*cpuPeriod), 1000) // the kernel takes no less
		if err := t.writeQuota(dir, quota); err != nil {
			return fmt.Errorf("limit CPU time: %w", err)
		}
	}
	if weight > 0 {
		if err := t.writeWeight(dir, min(weight, 10_000)); err != nil {
			return fmt.Errorf("set the CPU weight: %w", err)
		}
	}
	return nil
}

func (t *tree) writeQuota(dir string, quota int) error {
	if t.v2 {
		return write(dir, "cpu.max", fmt.Sprintf("%d %d", quota, cpuPeriod))
	}
	if err := write(dir, "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)); err != nil {
		return err
	}
	return write(dir, "cpu.cfs_quota_us", strconv.Itoa(quota))
}

// writeWeight: the default is 100 in version 2 and 1024 in version 1, where the
// least is 2.
func (t *tree) writeWeight(dir string, weight int) error {
	if t.v2 {
		return write(dir, "cpu.weight", strconv.Itoa(weight))
	}
	return write(dir, "cpu.shares", strconv.Itoa(max(weight*1024/100, 2)))
}
