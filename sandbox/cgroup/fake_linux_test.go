package cgroup

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What the kernel puts into a new group, as far as we use it.
func fakeV2() map[string]string {
	return map[string]string{
		"cgroup.procs": "", "cgroup.threads": "", "cgroup.controllers": "cpu io memory pids\n", "cgroup.subtree_control": "",
		"cgroup.kill": "", "cgroup.freeze": "0\n", "cgroup.events": "populated 0\nfrozen 0\n",
		"memory.max": "max\n", "memory.swap.max": "max\n", "memory.oom.group": "0\n", "memory.current": "5000\n",
		"memory.stat": "anon 1000\nactive_file 300\ninactive_file 700\n", "memory.events": "oom 3\noom_kill 2\n",
		"pids.max": "max\n", "pids.current": "7\n", "cpu.max": "max 100000\n", "cpu.weight": "100\n",
	}
}

func fakeV1() map[string]string {
	return map[string]string{
		"cgroup.procs": "", "tasks": "11\n12\n",
		"memory.limit_in_bytes": "-1\n", "memory.memsw.limit_in_bytes": "-1\n", "memory.usage_in_bytes": "5000\n",
		"memory.stat": "active_file 1\ntotal_active_file 300\ntotal_inactive_file 700\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
		"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "cpu.shares": "1024\n", "freezer.state": "THAWED\n",
	}
}

// fake is a machine of plain files, with our own group in each directory.
func fake(t *testing.T, mountinfo, groups string, files map[string]string, own ...string) host {
	t.Helper()
	root := t.TempDir()
	put(t, root, "proc/self/mountinfo", mountinfo)
	put(t, root, "proc/self/cgroup", groups)
	fill := func(dir string) {
		for file, text := range files {
			put(t, dir, file, text)
		}
	}
	for _, dir := range own {
		fill(filepath.Join(root, dir))
	}
	h := realHost()
	h.root = root
	h.mkdir = func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		fill(dir)
		return nil
	}
	h.rmdir = func(dir string) error {
		if groups := subgroups(dir); len(groups) > 1 {
			return unix.EBUSY
		} else if len(groups) == 0 {
			return os.ErrNotExist
		}
		return os.RemoveAll(dir)
	}
	return h
}

func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	for file, text := range want {
		if got, err := read(dir, file); err != nil || got != text {
			t.Errorf("%s: %q, %v; want %q", file, got, err, text)
		}
	}
}

func TestFakePureV2(t *testing.T) {
	h := fake(t,
		"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
		"0::/system.slice/whiskaway.service\n",
		fakeV2(), "sys/fs/cgroup/system.slice/whiskaway.service")
	own := filepath.Join(h.root, "sys/fs/cgroup/system.slice/whiskaway.service")
	if err := h.mkdir(own + "/whiskaway-a"); err != nil {
		t.Fatal(err)
	}
	if err := h.mkdir(own + "/whiskaway-a/left-7"); err != nil {
		t.Fatal(err)
	}
	m, err := open(h, "a", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if exists(own, "whiskaway-a/left-7") {
		t.Error("what an earlier server left is still there")
	}
	if got := strings.Join(m.Enforced(), ", "); got != "cgroup memory, cgroup processes, cgroup cpu, cgroup kill" {
		t.Error(got)
	}
	if err := m.SetBudget(8 << 30); err != nil {
		t.Error(err)
	}
	wantFiles(t, own+"/whiskaway-a", map[string]string{"memory.max": "8589934592", "memory.swap.max": "0", "memory.oom.group": "0"})

	g := newGroup(t, m, Limits{Memory: 1 << 20, Processes: 64, CPUs: 1.5, Weight: 20_000})
	dir := own + "/whiskaway-a/worker-1"
	if err := g.Add(4711); err != nil {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{
		"memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "64",
		"cpu.max": "150000 100000", "cpu.weight": "10000", "cgroup.procs": "4711",
	})
	if u, err := g.Usage(); err != nil || u != (Usage{Memory: 4000, Processes: 7, OOMKills: 2}) {
		t.Errorf("%+v, %v", u, err)
	}
	if err := g.SetMemory(0); err != nil {
		t.Error(err)
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{"memory.max": "max", "memory.swap.max": "max", "cgroup.kill": "1"})
	closeAll(t, m)
	if _, err := g.Usage(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("usage of a group that is gone: %v", err)
	}
}

// A container without a cgroup namespace: the mount shows only its own part.
func TestFakeV1InAContainer(t *testing.T) {
	h := fake(t, `40 30 0:30 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 30 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
42 30 0:32 /docker/abc /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
43 30 0:33 /docker/other /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
`, `5:pids:/docker/abc
4:freezer:/docker/abc
3:cpuacct,cpu:/docker/abc
2:memory:/docker/abc
1:name=systemd:/docker/abc
`, fakeV1(), "sys/fs/cgroup/memory", "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/freezer")
	m, err := open(h, "a", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Enforced(), ", "); got != "cgroup memory, cgroup cpu, cgroup kill" {
		t.Error(got)
	}
	g := newGroup(t, m, Limits{Memory: 1 << 20, Processes: 64, CPUs: 0.001, Weight: 50})
	in := func(controller string) string {
		return filepath.Join(h.root, "sys/fs/cgroup", controller, "whiskaway-a/worker-1")
	}
	wantFiles(t, in("memory"), map[string]string{"memory.limit_in_bytes": "1048576", "memory.memsw.limit_in_bytes": "1048576"})
	wantFiles(t, in("cpu,cpuacct"), map[string]string{"cpu.cfs_quota_us": "1000", "cpu.cfs_period_us": "100000", "cpu.shares": "512"})
	if u, err := g.Usage(); err != nil || u != (Usage{Memory: 4000, Processes: 2, OOMKills: 2}) {
		t.Errorf("%+v, %v", u, err)
	}
	if err := g.Freeze(true); err != nil {
		t.Error(err)
	}
	wantFiles(t, in("freezer"), map[string]string{"freezer.state": "FROZEN"})
	closeAll(t, m)
}

func TestFakeMachinesWithNothing(t *testing.T) {
	for name, machine := range map[string]struct{ mountinfo, groups, word string }{
		"nothing mounted": {"", "0::/\n", "not in any mounted"},
		"outside of our namespace": {
			"30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/../other\n", "not in any mounted"},
		"mount from outside of our namespace": {
			"30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n", "not in any mounted"},
		"group is gone": {
			"30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/gone (deleted)\n", "no such file"},
		"no control groups in the kernel": {"", "", "no hierarchy"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(fake(t, machine.mountinfo, machine.groups, nil), "a", slog.New(slog.DiscardHandler))
			if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), machine.word) {
				t.Error(err)
			}
		})
	}
}

func TestMountPointsWithBlanks(t *testing.T) {
	p, ok := parseGroup("0::/a b")
	if !ok {
		t.Fatal("not parsed")
	}
	dir, ok := p.findMount(`30 23 0:26 / /mnt/my\040groups rw - cgroup2 cgroup2 rw` + "\n")
	if !ok || dir != "/mnt/my groups/a b" {
		t.Error(dir, ok)
	}
	for _, line := range []string{"", "x", "0", "1:name=systemd:/", "7::/"} {
		if _, ok := parseGroup(line); ok {
			t.Errorf("%q was taken", line)
		}
	}
	if p, ok := parseGroup("3:cpu,cpuacct:/a:b"); !ok || p.path != "/a:b" || !slices.Equal(p.controllers, []string{"cpu", "cpuacct"}) {
		t.Errorf("%+v", p)
	}
}
