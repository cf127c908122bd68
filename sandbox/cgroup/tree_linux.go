package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is a hierarchy that we may write, with our parent group in it.
type tree struct {
	host
	place
	dir  string // our parent group
	leaf string // v2: the group below own that we moved into; empty if we did not
}

// open makes our parent group. What an earlier server left in it is removed.
func (h host) open(p place, name string) (*tree, error) {
	t := &tree{host: h, place: p}
	if filepath.Base(t.own) == selfName(name) {
		// An earlier life of this very process moved here, then called exec.
		t.leaf, t.own, t.path = t.own, filepath.Dir(t.own), filepath.Dir(t.path)
	}
	t.dir = filepath.Join(t.own, "whiskaway-"+name)
	if err := t.remove(t.dir); err != nil {
		return nil, fmt.Errorf("remove what an earlier server left: %w", err)
	}
	if err := t.mkdir(t.dir); err != nil {
		return nil, err
	}
	if !t.v2 {
		t.controllers = intersection(t.controllers, h.wanted)
		return t, nil
	}
	// To move a process, one must be allowed to write the procs file of the
	// nearest group above both places, and that is our own.
	if err := unix.Faccessat(unix.AT_FDCWD, filepath.Join(t.own, "cgroup.procs"), unix.W_OK, unix.AT_EACCESS); err != nil {
		return nil, errors.Join(fmt.Errorf("write cgroup.procs of %s: %w", t.own, err), t.rmdir(t.dir))
	}
	return t, nil
}

func selfName(name string) string { return "whiskaway-" + name + "-self" }

// delegate hands the v2 controllers down to the workers' groups: each group on
// the way must pass them on in its cgroup.subtree_control, and may then have no
// process of its own ("no internal processes", the root excepted). Therefore
// we move into a leaf, if we must. The error tells what could not be had.
// Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
func (t *tree) delegate(name string) error {
	available, err := read(t.own, "cgroup.controllers")
	if err != nil {
		return err
	}
	var failed []error
	for _, controller := range intersection(strings.Fields(available), t.wanted) {
		if err := t.enable(controller, name); err != nil {
			failed = append(failed, err)
			continue
		}
		t.controllers = append(t.controllers, controller)
	}
	if len(t.controllers) == 0 {
		failed = append(failed, t.moveBack())
	}
	return errors.Join(failed...)
}

func (t *tree) enable(controller, name string) error {
	enabled, err := read(t.own, "cgroup.subtree_control")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(enabled), controller) {
		err = write(t.own, "cgroup.subtree_control", "+"+controller)
	}
	if errors.Is(err, unix.EBUSY) && t.leaf == "" {
		if err := t.moveAside(name); err != nil {
			return err
		}
		err = write(t.own, "cgroup.subtree_control", "+"+controller)
	}
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("other processes are in our control group %s, so it cannot have limited ones below: start the server in a group of its own (systemd: Delegate=yes): %w", t.own, err)
	}
	if err != nil {
		return fmt.Errorf("enable %s below %s: %w", controller, t.own, err)
	}
	return write(t.dir, "cgroup.subtree_control", "+"+controller)
}

func (t *tree) moveAside(name string) error {
	leaf := filepath.Join(t.own, selfName(name))
	if err := t.mkdir(leaf); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("move into a group of our own: %w", err)
	}
	t.leaf = leaf
	if err := write(leaf, "cgroup.procs", "0"); err != nil { // 0: who writes
		return fmt.Errorf("move into a group of our own: %w", err)
	}
	return nil
}

// moveBack undoes delegate, so that no directory of ours is left.
func (t *tree) moveBack() error {
	if t.leaf == "" {
		return nil
	}
	for _, controller := range t.controllers {
		if err := write(t.own, "cgroup.subtree_control", "-"+controller); err != nil {
			return fmt.Errorf("give %s back: %w", controller, err)
		}
	}
	if err := write(t.own, "cgroup.procs", "0"); err != nil {
		return fmt.Errorf("move back into %s: %w", t.own, err)
	}
	leaf := t.leaf
	t.leaf = ""
	return t.rmdir(leaf)
}

func (t *tree) has(controller string) bool { return slices.Contains(t.controllers, controller) }

// freezes tells whether groups of this tree can be stopped as a whole.
func (t *tree) freezes() bool {
	return t.has("freezer") || t.v2 && exists(t.dir, "cgroup.freeze")
}

// remove removes a group and all below it, and kills who is in there. No such
// group is no error.
func (t *tree) remove(dir string) error {
	err := t.rmdirAll(dir)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	if err := t.kill(dir); err != nil {
		return err
	}
	// The group of a process that was just killed is busy for a moment more.
	poll(func() bool {
		err = t.rmdirAll(dir)
		return !errors.Is(err, unix.EBUSY)
	})
	return err
}

func (t *tree) rmdirAll(dir string) error {
	err := t.rmdir(dir)
	if !errors.Is(err, unix.EBUSY) {
		return ignore(err, fs.ErrNotExist)
	}
	for _, sub := range subgroups(dir) {
		if err := ignore(t.rmdir(sub), fs.ErrNotExist); err != nil {
			return err
		}
	}
	return nil
}

func rmdir(dir string) error {
	if err := unix.Rmdir(dir); err != nil {
		return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}

func intersection(a, b []string) []string {
	var both []string
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}

func ignore(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}
