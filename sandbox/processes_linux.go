package sandbox

import (
	"bytes"
	"maps"
	"os"
	"strconv"
)

// A processState is what /proc/PID/stat says of a process.
type processState struct {
	ended    bool // and it waits to be reaped
	stopped  bool // by a signal, or by a debugger
	blocked  bool // in the kernel, until what it waits for has happened
	parent   int
	session  int
	threads  int
	resident int64 // bytes
}

// readProcesses reads all living processes that /proc shows.
func readProcesses() map[int]processState {
	all := readWithEnded()
	maps.DeleteFunc(all, func(_ int, p processState) bool { return p.ended })
	return all
}

func readWithEnded() map[int]processState {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	all := make(map[int]processState)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok {
			all[pid] = p
		}
	}
	return all
}

// Positions of the fields in /proc/PID/stat, counted from behind the name. See
// proc_pid_stat(5), where they are 3, 4, 6, 20 and 24.
const (
	stateField    = 0
	parentField   = 1
	sessionField  = 3
	threadsField  = 17
	residentField = 21
)

// readProcess is not ok for a process that is gone.
func readProcess(pid int) (p processState, ok bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p, false
	}
	// The name in parentheses may hold anything, so look behind the last one:
	// ") S 1234 ...".
	i := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[i+1:])
	if i < 0 || len(fields) <= residentField {
		return p, false
	}
	ended := fields[stateField][0] == 'Z' || fields[stateField][0] == 'X'
	stopped := fields[stateField][0] == 'T' || fields[stateField][0] == 't'
	blocked := fields[stateField][0] == 'D'
	parent, err := strconv.Atoi(string(fields[parentField]))
	if err != nil {
		return p, false
	}
	session, _ := strconv.Atoi(string(fields[sessionField]))
	threads, _ := strconv.Atoi(string(fields[threadsField]))
	pages, _ := strconv.ParseInt(string(fields[residentField]), 10, 64)
	return processState{ended: ended, stopped: stopped, blocked: blocked, parent: parent, session: session, threads: threads, resident: pages * int64(os.Getpagesize())}, true
}

// below lists the descendants of root.
func below(root int, children map[int][]int) []int {
	var found []int
	for next := children[root]; len(next) > 0; next = next[1:] {
		found = append(found, next[0])
		next = append(next, children[next[0]]...)
	}
	return found
}
