package sandbox

import (
	"bufio"
	"fmt"
	"os"
)

// Memory is what the process and all its descendants hold in memory, in bytes,
// the shim included. Pages that several processes share are divided among them
// (the sum of Pss in /proc/PID/smaps_rollup). It reads all of /proc: ask it now
// and then, not in each run.
func (p *Process) Memory() int64 {
	var sum int64
	for _, pid := range append(descendants(p.Pid()), p.Pid()) {
		sum += proportionalSize(pid)
	}
	return sum
}

// proportionalSize is 0 for a process that is gone or not ours to look at.
func proportionalSize(pid int) int64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "Pss: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}
