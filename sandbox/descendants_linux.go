package sandbox

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// killDescendants stops all descendants, so that none can fork while we look,
// and then kills them. Who slips through is found by the next call.
func killDescendants(int) {
	var stopped []int
	for {
		found := descendants(os.Getpid())
		fresh := slices.DeleteFunc(slices.Clone(found), func(pid int) bool { return slices.Contains(stopped, pid) })
		if len(fresh) == 0 {
			break
		}
		for _, pid := range fresh {
			syscall.Kill(pid, syscall.SIGSTOP)
		}
		stopped = append(stopped, fresh...)
	}
	for _, pid := range stopped {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// descendants lists the living processes below root, by what /proc shows.
func descendants(root int) []int {
	children := processTree()
	var found []int
	for next := children[root]; len(next) > 0; next = next[1:] {
		found = append(found, next[0])
		next = append(next, children[next[0]]...)
	}
	return found
}

// processTree maps each process id to its living children.
func processTree() map[int][]int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	children := make(map[int][]int)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	return children
}

// parentOf reads the parent of a process; not ok for one that has ended.
func parentOf(pid int) (parent int, ok bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold anything, so look behind the last one:
	// ") S 1234 ...". See proc_pid_stat(5).
	i := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[i+1:])
	if i < 0 || len(fields) < 2 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return parent, err == nil
}
