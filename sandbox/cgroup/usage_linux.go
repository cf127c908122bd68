package cgroup

import (
	"fmt"
	"strings"
)

// memory counts without file cache, active or not: the kernel takes that back
// before it kills. Shared memory and tmpfs are not file cache here.
func (t *tree) memory(dir string) (int64, error) {
	current, cache := "memory.usage_in_bytes", []string{"total_active_file", "total_inactive_file"}
	if t.v2 {
		current, cache = "memory.current", []string{"active_file", "inactive_file"}
	}
	bytes, err := readNumber(dir, current)
	if err != nil {
		return 0, fmt.Errorf("read memory use: %w", err)
	}
	stat, err := readTable(dir, "memory.stat")
	if err != nil {
		return 0, fmt.Errorf("read memory use: %w", err)
	}
	for _, key := range cache {
		bytes -= stat[key]
	}
	return max(bytes, 0), nil
}

func (t *tree) oomKills(dir string) (int, error) {
	file := "memory.oom_control"
	if t.v2 {
		file = "memory.events"
	}
	events, err := readTable(dir, file)
	if err != nil {
		return 0, fmt.Errorf("read kills for want of memory: %w", err)
	}
	return int(events["oom_kill"]), nil
}

// tasks counts threads, as the pids controller does.
func (t *tree) tasks(dir string) (int, error) {
	if t.has("pids") {
		n, err := readNumber(dir, "pids.current")
		return int(n), err
	}
	file := "tasks"
	if t.v2 {
		file = "cgroup.threads"
	}
	text, err := read(dir, file)
	if err != nil {
		return 0, fmt.Errorf("count processes: %w", err)
	}
	return len(strings.Fields(text)), nil
}
