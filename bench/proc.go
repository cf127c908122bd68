package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// A proc is a process as /proc shows it.
type proc struct {
	pid, parent int
	name        string
	state       byte
	cpu         time.Duration // its own, and that of its children that have ended
	started     uint64        // clock ticks since boot: tells it from a later one with the same pid
	rss         int64         // bytes
}

// A snapshot holds every process by its pid.
type snapshot map[int]proc

// tick is the unit of /proc's times: USER_HZ, which is 100 on every Linux
// architecture that Go knows (man 5 proc, man 7 time).
const tick = 10 * time.Millisecond

// processes reads /proc.
func processes() (snapshot, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("the bench reads CPU times and memory from /proc, as Linux has it: %w", err)
	}
	all := snapshot{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := readProc(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[pid] = p
	}
	return all, nil
}

var errGone = errors.New("the process has ended")

func readProc(pid int) (proc, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return proc{}, errGone // reading fails with ESRCH when it ends meanwhile
	}
	if err != nil {
		return proc{}, err
	}
	return parseStat(pid, string(data))
}

// parseStat reads a line of /proc/PID/stat; man 5 proc numbers the fields from
// 1, and the name, in parentheses, may hold anything.
func parseStat(pid int, line string) (proc, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return proc{}, fmt.Errorf("/proc/%d/stat is not as expected", pid)
	}
	fields := strings.Fields(line[end+1:])
	const first = 3 // the number of fields[0]
	if len(fields) <= 24-first {
		return proc{}, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	number := func(field int) uint64 {
		n, _ := strconv.ParseUint(fields[field-first], 10, 64) // some are -1: not those we use
		return n
	}
	ticks := number(14) + number(15) + number(16) + number(17)
	return proc{
		pid: pid, parent: int(number(4)), name: line[open+1 : end], state: fields[0][0],
		cpu: time.Duration(ticks) * tick, started: number(22), rss: int64(number(24)) * int64(os.Getpagesize()),
	}, nil
}

// tree returns the given processes and all their descendants.
func (s snapshot) tree(roots []*process) []proc {
	children := map[int][]int{}
	for _, p := range s {
		children[p.parent] = append(children[p.parent], p.pid)
	}
	var found []proc
	var walk func(pid int)
	walk = func(pid int) {
		if p, ok := s[pid]; ok {
			found = append(found, p)
		}
		for _, child := range children[pid] {
			walk(child)
		}
	}
	for _, r := range roots {
		walk(r.cmd.Process.Pid)
	}
	return found
}

// program says what the process runs: the binary's children run the binary
// itself, and are told apart by its command.
func (p proc) program() string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	args := strings.Split(string(line), "\x00")
	if err != nil || len(args) < 2 || p.name != "exe" && p.name != "whiskaway" {
		return p.name
	}
	return args[1]
}
