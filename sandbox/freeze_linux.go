package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// stopPatience bounds how long we wait for processes to stop: each does when it comes to
// run next, which takes its time on a machine that is overloaded.
const stopPatience = 3 * time.Second

// Freeze stops all commands below the process pid, whose children are the shims of its commands, with
// all that they have started, in whatever sessions and namespaces. The process itself and the
// shims go on: so they still notice who ends, and a stopped command dies with its server as ever. thaw
// lets those go on that were stopped here, and still are below pid.
//
// A command can be killed while it is stopped. One that was stopped before stays so.
func Freeze(pid int) (thaw func(), err error) {
	frozen := map[int]bool{}
	deadline := time.Now().Add(stopPatience)
	for {
		before := len(frozen)
		for _, p := range commandsBelow(pid) {
			if s, ok := readProcess(p); !frozen[p] && ok && !s.stopped {
				err = stop(p, err)
				frozen[p] = true
			}
		}
		if len(frozen) == before {
			break
		}
		awaitStopped(frozen, deadline) // one that is forking still may have a child meanwhile
	}
	thaw = func() {
		for _, p := range commandsBelow(pid) {
			if frozen[p] {
				syscall.Kill(p, syscall.SIGCONT)
			}
		}
	}
	if err != nil {
		thaw()
		return nil, os.NewSyscallError("stopping a command", err)
	}
	return thaw, nil
}

// stop sends SIGSTOP, and returns err if that went well or the process is gone.
func stop(pid int, err error) error {
	if e := syscall.Kill(pid, syscall.SIGSTOP); e != nil && e != syscall.ESRCH {
		return e
	}
	return err
}

// awaitStopped returns when none runs any more. One that the kernel blocks stops before it goes on;
// it may wait for a child that was stopped before it executed its program.
func awaitStopped(pids map[int]bool, deadline time.Time) {
	for pid := range pids {
		for pause := 50 * time.Microsecond; time.Now().Before(deadline); pause *= 2 {
			if p, ok := readProcess(pid); !ok || p.stopped || p.blocked || p.ended {
				break
			}
			time.Sleep(pause)
		}
	}
}

// commandsBelow lists what the children of pid, which are shims, have below them.
func commandsBelow(pid int) (found []int) {
	shims, ok := childrenNow(pid)
	if !ok { // a kernel that does not list them
		children := childrenOf(readProcesses())
		for _, shim := range children[pid] {
			found = append(found, below(shim, children)...)
		}
		return found
	}
	for _, shim := range shims {
		next, _ := childrenNow(shim)
		for ; len(next) > 0; next = next[1:] {
			found = append(found, next[0])
			more, _ := childrenNow(next[0])
			next = append(next, more...)
		}
	}
	return found
}

// childrenNow lists the children of one process; ok: the kernel tells them.
func childrenNow(pid int) (children []int, ok bool) {
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range bytes.Fields(data) {
			if child, err := strconv.Atoi(string(word)); err == nil {
				children = append(children, child)
			}
		}
	}
	slices.Sort(children)
	return slices.Compact(children), len(files) > 0
}
