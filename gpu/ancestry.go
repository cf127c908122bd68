package gpu

import (
	"bytes"
	"os"
	"strconv"
)

// maxAncestors bounds a walk over a tree that changes meanwhile.
const maxAncestors = 1000

// descendsFrom tells whether the process pid is root or a descendant of it, by what
// /proc shows. Where there is no /proc, it is not.
func descendsFrom(pid, root int) bool {
	for range maxAncestors {
		if pid <= 0 {
			return false
		}
		parent, ok := parentOf(pid)
		if !ok {
			return false
		}
		if pid == root {
			return true
		}
		pid = parent
	}
	return false
}

// parentOf reads proc_pid_stat(5): after the name, which is in parentheses and may
// hold anything, come the state and the parent.
func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return parent, err == nil
}
