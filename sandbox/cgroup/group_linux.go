package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
)

// Group is one worker's control group. All its methods may be called at the
// same time; after Close those that read or set report fs.ErrNotExist.
type Group struct {
	trees []*tree // the one that kills comes first
	name  string
}

func (g *Group) dir(t *tree) string { return filepath.Join(t.dir, g.name) }

func (g *Group) make(t *tree, l Limits) error {
	if err := t.mkdir(g.dir(t)); err != nil {
		return err
	}
	return t.set(g.dir(t), l)
}

// Add moves a process into the group, with all its threads. What it starts from
// then on is in the group too; what it started before is not, and sockets it
// has open already are not filtered. After an error it may be in the group in
// part; Close kills it then.
func (g *Group) Add(pid int) error {
	for _, t := range g.trees {
		if err := write(g.dir(t), "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("add process %d to control group %s: %w", pid, g.name, err)
		}
	}
	return nil
}

// Kill kills all members, whatever they do, and waits up to 10 s until they are
// gone.
func (g *Group) Kill() error {
	killer := g.trees[0]
	return killer.kill(g.dir(killer))
}

// Usage reads what the group uses now.
func (g *Group) Usage() (Usage, error) {
	var u Usage
	var errs [3]error
	if t, ok := find(g.trees, "memory"); ok {
		u.Memory, errs[0] = t.memory(g.dir(t))
		u.OOMKills, errs[1] = t.oomKills(g.dir(t))
	}
	t, ok := find(g.trees, "pids")
	if !ok {
		t = g.trees[0]
	}
	u.Processes, errs[2] = t.tasks(g.dir(t))
	if err := errors.Join(errs[:]...); err != nil {
		return Usage{}, fmt.Errorf("control group %s: %w", g.name, err)
	}
	return u, nil
}

// SetMemory changes the memory limit, in bytes; 0 is no limit. The error is
// errors.ErrUnsupported where memory cannot be limited. A limit below what is
// in use kills on version 2 and is an error on version 1.
func (g *Group) SetMemory(limit int64) error {
	t, ok := find(g.trees, "memory")
	if !ok {
		return fmt.Errorf("control group %s: limit memory: %w", g.name, errors.ErrUnsupported)
	}
	if err := t.setMemory(g.dir(t), limit); err != nil {
		return fmt.Errorf("control group %s: %w", g.name, err)
	}
	return nil
}

// Freeze stops all members, or lets them go on, and waits up to 10 s until it is
// so. The error is errors.ErrUnsupported where groups cannot be frozen.
func (g *Group) Freeze(freeze bool) error {
	t := g.trees[0]
	if !t.freezes() {
		return fmt.Errorf("control group %s: freeze: %w", g.name, errors.ErrUnsupported)
	}
	if err := t.setFrozen(g.dir(t), freeze); err != nil {
		return fmt.Errorf("control group %s: freeze: %w", g.name, err)
	}
	if !poll(func() bool { return t.frozen(g.dir(t)) == freeze }) {
		return fmt.Errorf("control group %s: not all processes froze or thawed within %v", g.name, patience)
	}
	return nil
}

// Close kills what is left and removes the group. It waits up to 10 s for each
// hierarchy; a group that could not be removed is removed by the next Open.
func (g *Group) Close() error {
	var failed []error
	for _, t := range g.trees {
		if err := t.remove(g.dir(t)); err != nil {
			failed = append(failed, fmt.Errorf("remove control group %s: %w", g.dir(t), err))
		}
	}
	return errors.Join(failed...)
}
