package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// kill kills all that is in a group and below it, and waits until it is gone.
func (t *tree) kill(dir string) error {
	if t.v2 && exists(dir, "cgroup.kill") {
		return t.killAtOnce(dir)
	}
	gone := poll(func() bool {
		alive := 0
		for _, sub := range subgroups(dir) {
			alive += t.killEach(sub)
		}
		return alive == 0
	})
	if !gone {
		return fmt.Errorf("kill control group %s: processes are still in it after %v", dir, patience)
	}
	return nil
}

// killAtOnce also reaches who forks at that moment (Linux 5.14 and later).
func (t *tree) killAtOnce(dir string) error {
	if err := write(dir, "cgroup.kill", "1"); err != nil {
		return ignore(fmt.Errorf("kill control group: %w", err), fs.ErrNotExist)
	}
	gone := poll(func() bool {
		events, err := readTable(dir, "cgroup.events")
		return err != nil || events["populated"] == 0
	})
	if !gone {
		return fmt.Errorf("kill control group %s: processes are still in it %v after cgroup.kill", dir, patience)
	}
	return nil
}

// killEach signals every member of one group and counts them. The group is
// frozen meanwhile, where it can be, so that nobody forks faster than we kill.
// A frozen process dies only once it is thawed, so it always is.
func (t *tree) killEach(dir string) int {
	pids := members(dir)
	if len(pids) == 0 {
		return 0
	}
	// Not waited for: the next round finds whom this one missed.
	if t.setFrozen(dir, true) == nil {
		defer t.setFrozen(dir, false)
		pids = members(dir)
	}
	for _, pid := range pids {
		t.killMember(pid, dir)
	}
	return len(pids)
}

// members lists the processes of one group, as far as our PID namespace shows
// them.
func members(dir string) []int {
	text, err := read(dir, "cgroup.procs")
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(text) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killMember kills a process if it is still in the group: its number may be
// another's by now. The os.Process holds on to the process by a pidfd, so that
// what we checked is what we kill.
func (t *tree) killMember(pid int, dir string) {
	process, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer process.Release()
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err == nil && strings.Contains(string(groups), ":"+t.pathOf(dir)+"\n") {
		process.Kill() // an error means that it is gone
	}
}

// pathOf is a group's name in /proc/PID/cgroup.
func (t *tree) pathOf(dir string) string {
	return filepath.Join(t.path, strings.TrimPrefix(dir, t.own))
}

// setFrozen asks for a group to be stopped or to go on; frozen tells when it is.
func (t *tree) setFrozen(dir string, frozen bool) error {
	switch {
	case t.v2 && frozen:
		return write(dir, "cgroup.freeze", "1")
	case t.v2:
		return write(dir, "cgroup.freeze", "0")
	case !t.has("freezer"):
		return errors.ErrUnsupported
	case frozen:
		return write(dir, "freezer.state", "FROZEN")
	default:
		return write(dir, "freezer.state", "THAWED")
	}
}

func (t *tree) frozen(dir string) bool {
	if t.v2 {
		events, err := readTable(dir, "cgroup.events")
		return err == nil && events["frozen"] == 1
	}
	state, err := read(dir, "freezer.state")
	return err == nil && state == "FROZEN"
}
