package cgroup

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// managerOn is manager for another view of the machine.
func managerOn(t *testing.T, h host) *Manager {
	t.Helper()
	m, err := open(h, testName(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Skipf("needs control groups: %v", err)
	}
	t.Cleanup(func() { closeAll(t, m) })
	return m
}

// Three descendants leave their sessions; then all fork without end.
const flee = `
import os
ready, go = os.pipe()
os.write(1, b"%d\n" % os.getpid())
for i in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        os.setsid()
        os.write(1, b"%d\n" % os.getpid())
        break
os.close(go)
os.read(ready, 1)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
`

func TestKillLeavesNone(t *testing.T) {
	for name, h := range map[string]host{"as it is": realHost(), "v1 only": v1Only(t)} {
		t.Run(name, func(t *testing.T) {
			m := managerOn(t, h)
			need(t, m, "cgroup kill")
			need(t, m, "cgroup processes") // or it could take the machine with it
			g := newGroup(t, m, Limits{Processes: 40})
			bomb := inGroup(t, g, python(t), "-c", flee)
			var pids []int
			for range 4 {
				pids = append(pids, bomb.number(t))
			}
			eventually(t, "it fills its limit", func() bool {
				u, err := g.Usage()
				return err == nil && u.Processes > 35
			})
			if err := g.Kill(); err != nil {
				t.Fatal(err)
			}
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("process %d lives", pid)
				}
			}
			for _, tree := range m.trees {
				if left := members(g.dir(tree)); len(left) > 0 {
					t.Errorf("in %s: %v", g.dir(tree), left)
				}
			}
			if err := g.Close(); err != nil {
				t.Error(err)
			}
			if err := g.Close(); err != nil {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

func TestCloseOfTheManagerKillsAllGroups(t *testing.T) {
	for name, h := range map[string]host{"as it is": realHost(), "v1 only": v1Only(t)} {
		t.Run(name, func(t *testing.T) {
			m := managerOn(t, h)
			var sleepers []*member
			for range 3 {
				sleepers = append(sleepers, inGroup(t, newGroup(t, m, Limits{}), "sleep", "1000"))
			}
			closeAll(t, m)
			for _, s := range sleepers {
				if alive(s.Process.Pid) {
					t.Errorf("process %d lives", s.Process.Pid)
				}
			}
		})
	}
}

func TestOpenSweepsWhatAKilledServerLeft(t *testing.T) {
	name := testName(t)
	m := manager(t)
	if err := m.Close(); err != nil { // it only told whether to skip
		t.Fatal(err)
	}
	server := part(t, "server", name)
	sleeper := server.number(t)
	server.Process.Kill()
	server.Wait()
	if !alive(sleeper) {
		t.Fatal("nothing was left to sweep")
	}
	m, err := Open(name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, m)
	if alive(sleeper) {
		t.Error("Open left the earlier server's process")
	}
	for _, tree := range m.trees {
		if groups := subgroups(tree.dir); len(groups) != 1 {
			t.Errorf("Open left %v", groups)
		}
	}
}

func TestSweepRemovesWhatKilledProcessesLeft(t *testing.T) {
	prefix := testName(t)
	m := manager(t)
	if err := m.Close(); err != nil { // it only told whether to skip
		t.Fatal(err)
	}
	var sleepers []int
	for _, name := range []string{prefix + "-1", prefix + "-2", prefix + "x"} {
		server := part(t, "server", name)
		sleepers = append(sleepers, server.number(t))
		server.Process.Kill()
		server.Wait()
	}
	if err := Sweep(prefix); err != nil {
		t.Fatal(err)
	}
	if alive(sleepers[0]) || alive(sleepers[1]) || !alive(sleepers[2]) {
		t.Errorf("who lives: %v %v, and of another name %v", alive(sleepers[0]), alive(sleepers[1]), alive(sleepers[2]))
	}
	for _, tree := range m.trees {
		if left, _ := filepath.Glob(filepath.Join(tree.own, "whiskaway-"+prefix+"*")); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	}
	if err := Sweep(prefix[:len(prefix)-1]); err != nil { // it must end with a '-'
		t.Fatal(err)
	}
	m, err := Open(prefix+"x", slog.New(slog.DiscardHandler)) // removes the third
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, m)
	if alive(sleepers[2]) {
		t.Error("the third lives")
	}
}

func TestOpenSweepsAfterAKillAtAnyMoment(t *testing.T) {
	name, marker := testName(t), fmt.Sprint(100_000+os.Getpid(), ".25")
	m := manager(t)
	need(t, m, "cgroup kill")
	rounds := 10
	if os.Getenv("WHISKAWAY_SLOW") != "" {
		rounds = 300
	}
	for i := range rounds {
		server := part(t, "churn", name+"-2", marker)
		server.line(t)
		time.Sleep(time.Duration(i%50) * time.Millisecond) // any moment is right
		server.Process.Kill()
		server.Wait()
		m, err := Open(name+"-2", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "all processes are gone", func() bool { return len(running(marker)) == 0 })
		for _, tree := range m.trees {
			if left := subgroups(tree.dir); len(left) != 1 {
				t.Errorf("left: %v", left)
			}
		}
		closeAll(t, m)
	}
}

// running lists the living processes whose command line contains a marker.
func running(marker string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var pids []int
	for _, file := range files {
		line, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && strings.Contains(string(line), marker) && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestNothingIsLeftOf200Groups(t *testing.T) {
	m := manager(t)
	need(t, m, "cgroup kill")
	files := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := files()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 50 {
				g, err := m.New(fmt.Sprintf("w/../%d é", i), Limits{Memory: 64 << 20, Processes: 10, CPUs: 1, Weight: 100})
				if err != nil {
					t.Error(err)
					return
				}
				if j%10 == 0 {
					addSleeper(t, g)
				}
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if after := files(); after > before {
		t.Errorf("%d open files before, %d after", before, after)
	}
	for _, tree := range m.trees {
		if left := subgroups(tree.dir); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	}
}

// addSleeper is inGroup for another goroutine than the test's.
func addSleeper(t *testing.T, g *Group) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	if err := g.Add(cmd.Process.Pid); err != nil {
		t.Error(err)
		cmd.Process.Kill()
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	cmd.Wait()
}

func TestNobodyIsToldWhy(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	cmd := exec.Command(publicCopy(t), "open", "nobody")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
	if !strings.HasPrefix(string(out), "true") || !strings.Contains(string(out), "denied") {
		t.Errorf("%s", out)
	}
}

// publicCopy copies the test binary to where any user may execute it.
func publicCopy(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cgroup-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "part")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadNames(t *testing.T) {
	for _, name := range []string{"", "a/b", "..", "a b", strings.Repeat("a", 65)} {
		if _, err := Open(name, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

// A real v2 controller, if a spare one is not bound to version 1: what it
// limits does not matter here.
func TestDelegationMovesAsideAndBack(t *testing.T) {
	m := manager(t)
	root, controller, file := m.trees[0], "hugetlb", "hugetlb.2MB.max"
	available, _ := read(root.own, "cgroup.controllers")
	if !root.v2 || !slices.Contains(strings.Fields(available), controller) {
		t.Skipf("needs the %s controller in version 2, here are %q", controller, available)
	}
	before, err := read(root.own, "cgroup.subtree_control")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(before, controller) {
		if err := write(root.own, "cgroup.subtree_control", "+"+controller); err != nil {
			t.Skip(err)
		}
		defer write(root.own, "cgroup.subtree_control", "-"+controller)
	}
	own := filepath.Join(root.own, testName(t)+"-own")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	defer rmdir(own)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `read go; exec "$@"`, "sh", exe, "delegate", own, controller, file)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	server := start(t, cmd)
	if err := write(own, "cgroup.procs", fmt.Sprint(server.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	server.say(t, "go")
	if got := server.line(t); got != "true true whiskaway-d-self true" {
		t.Errorf("in the group: %s", got)
	}
	if got := server.line(t); got != "own 1" {
		t.Errorf("after Close: %s", got)
	}
	server.Wait()
}
