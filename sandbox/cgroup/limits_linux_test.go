package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const eatMemory = `
import sys
sys.stdin.readline()
held = []
for i in range(64):
    held.append(bytearray(b"x") * (16 << 20))
print("survived", flush=True)
`

func TestMemoryLimitKillsAndCounts(t *testing.T) {
	m := manager(t)
	need(t, m, "cgroup memory")
	g, neighbour := newGroup(t, m, Limits{Memory: 64 << 20}), newGroup(t, m, Limits{Memory: 64 << 20})
	cat := inGroup(t, neighbour, "cat")
	eater := inGroup(t, g, python(t), "-c", eatMemory)
	eater.say(t, "eat")
	if eater.out.Scan() {
		t.Errorf("more than its limit: %s", eater.out.Text())
	}
	eater.Wait()
	u, err := g.Usage()
	if err != nil || u.OOMKills != 1 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	if u, err := neighbour.Usage(); err != nil || u.OOMKills != 0 || u.Processes != 1 {
		t.Errorf("neighbour: %+v, %v", u, err)
	}
	cat.say(t, "still here")
	if got := cat.line(t); got != "still here" {
		t.Errorf("neighbour says %q", got)
	}
}

func TestBudgetHoldsForAllGroups(t *testing.T) {
	m := manager(t)
	need(t, m, "cgroup memory")
	if err := m.SetBudget(96 << 20); err != nil {
		t.Fatal(err)
	}
	g := newGroup(t, m, Limits{}) // no limit of its own
	eater := inGroup(t, g, python(t), "-c", eatMemory)
	eater.say(t, "eat")
	if eater.out.Scan() {
		t.Errorf("more than the budget: %s", eater.out.Text())
	}
	eater.Wait()
	if u, err := g.Usage(); err != nil || u.OOMKills != 1 {
		t.Errorf("usage: %+v, %v", u, err)
	}
}

func TestMemoryIsMeasuredAndLimitMoves(t *testing.T) {
	m := manager(t)
	need(t, m, "cgroup memory")
	g := newGroup(t, m, Limits{Memory: 512 << 20})
	holder := inGroup(t, g, python(t), "-c", `
import sys
held = bytearray(b"x") * (100 << 20)
print("holds", flush=True)
sys.stdin.readline()
more = bytearray(b"x") * (100 << 20)
print("holds more", flush=True)
sys.stdin.readline()
`)
	holder.line(t)
	u, err := g.Usage()
	if err != nil || u.Memory < 100<<20 || u.Memory > 200<<20 {
		t.Errorf("holds 100 MB: %+v, %v", u, err)
	}
	for _, limit := range []int64{160 << 20, 1 << 30, 0, 400 << 20} {
		if err := g.SetMemory(limit); err != nil {
			t.Fatal(err)
		}
	}
	holder.say(t, "more")
	if got := holder.line(t); got != "holds more" {
		t.Error(got)
	}
}

// The file cache of a file that was read is not held against who read it.
func TestFileCacheIsNotCounted(t *testing.T) {
	m := manager(t)
	need(t, m, "cgroup memory")
	g := newGroup(t, m, Limits{})
	dir, err := os.MkdirTemp("/var/tmp", "cgroup-test-") // what is in a tmpfs is no cache
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Type == unix.TMPFS_MAGIC {
		t.Skipf("needs a directory on a disk; %s is not (%v)", dir, err)
	}
	file := filepath.Join(dir, "cached") // written from inside, so that it is charged to the group
	writer := inGroup(t, g, "/bin/sh", "-c", `dd if=/dev/zero of="$0" bs=1M count=64 2>/dev/null && sync "$0"; echo written; read go`, file)
	writer.line(t)
	u, err := g.Usage()
	if err != nil || u.Memory > 32<<20 {
		t.Errorf("wrote a file of 64 MB: %+v, %v", u, err)
	}
}

func TestForkBombStopsAtItsLimit(t *testing.T) {
	m := manager(t)
	need(t, m, "cgroup processes")
	g := newGroup(t, m, Limits{Processes: 30})
	bomb := inGroup(t, g, python(t), "-c", `
import os, signal
children = 0
while children < 200:
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError as e:
        break
    children += 1
print(children, flush=True)
signal.pause()
`)
	if n := bomb.number(t); n != 29 {
		t.Errorf("%d children with a limit of 30", n)
	}
	if u, err := g.Usage(); err != nil || u.Processes != 30 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	bomb.Wait()
	eventually(t, "the dead are reaped and no longer count", func() bool {
		u, err := g.Usage()
		return err == nil && u.Processes == 0
	})
}

func TestCPUTimeIsLimited(t *testing.T) {
	m := manager(t)
	need(t, m, "cgroup cpu")
	g := newGroup(t, m, Limits{CPUs: 0.1, Weight: 50})
	inGroup(t, g, "/bin/sh", "-c", "while :; do :; done")
	tree, _ := m.find("cpu")
	eventually(t, "the loop is throttled", func() bool {
		stat, err := readTable(g.dir(tree), "cpu.stat")
		return err == nil && stat["nr_throttled"] > 2
	})
}

func TestFreeze(t *testing.T) {
	for name, h := range map[string]host{"as it is": realHost(), "v1 only": v1Only(t)} {
		t.Run(name, func(t *testing.T) {
			m := managerOn(t, h)
			g := newGroup(t, m, Limits{})
			cat := inGroup(t, g, "cat")
			if err := g.Freeze(true); errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			cat.say(t, "while frozen")
			if err := g.Freeze(false); err != nil {
				t.Fatal(err)
			}
			if got := cat.line(t); got != "while frozen" {
				t.Error(got)
			}
			if err := g.Freeze(true); err != nil {
				t.Fatal(err)
			}
			if err := g.Close(); err != nil { // a frozen process can be killed
				t.Error(err)
			}
		})
	}
}
