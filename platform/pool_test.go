package platform

import (
	"context"
	"fmt"
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

func pidOf(record map[string]any) string { return fmt.Sprint(at(record, "response", "result", "pid")) }

func TestWarmContainersBelongToOneRevision(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("a", "x", "")
	h.action("b", "x", "")
	a1, a2, b := pidOf(h.invoke(200, "a", "")), pidOf(h.invoke(200, "a", "")), pidOf(h.invoke(200, "b", ""))
	if a1 != a2 {
		t.Errorf("the warm container was not used: %s, %s", a1, a2)
	}
	if a1 == b {
		t.Errorf("two actions share a container")
	}
	h.action("a", "y", "") // an update
	if a3 := pidOf(h.invoke(200, "a", "")); a3 == a1 {
		t.Errorf("the old revision's container ran the new revision")
	}
	h.want(200, "DELETE", ns+"actions/b", "")
	h.action("b", "x", "") // the same version 0.0.1, but another action
	if b2 := pidOf(h.invoke(200, "b", "")); b2 == b {
		t.Errorf("a deleted action's container ran its successor")
	}
}

func TestRunsOverlapInSeveralContainers(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	dir := t.TempDir()
	gate, count := filepath.Join(dir, "gate"), filepath.Join(dir, "count")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.action("a", "count="+count+" until="+gate, "")
	var all sync.WaitGroup
	pids := make([]string, 4)
	for i := range pids {
		all.Go(func() { pids[i] = pidOf(h.invoke(200, "a", "")) })
	}
	eventually(t, "four runs at a time", func() bool {
		data, _ := os.ReadFile(count)
		return strings.Count(string(data), "\n") == 4
	})
	os.Remove(gate)
	all.Wait()
	slices.Sort(pids)
	if n := len(slices.Compact(pids)); n != 4 {
		t.Errorf("four overlapping runs had %d containers", n)
	}
}

func TestIdleContainersGoDownToZero(t *testing.T) {
	h := open(t, t.TempDir(), func(c *Config) { c.Invoker.Idle = 50 * time.Millisecond })
	h.action("a", "x", "")
	pid := pidOf(h.invoke(200, "a", ""))
	eventually(t, "the end of the idle container", func() bool {
		idle, busy := h.p.Containers()
		return idle == 0 && busy == 0 && !alive(pid)
	})
	h.invoke(200, "a", "")
}

func TestFullPoolEvictsIdleAndBoundsTheWait(t *testing.T) {
	h := open(t, t.TempDir(), func(c *Config) {
		c.Invoker.Memory = 256
		c.Invoker.WaitLimit = 300 * time.Millisecond
	})
	gate := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.action("a", "x", "")
	h.action("b", "until="+gate, "")
	a := pidOf(h.invoke(200, "a", ""))
	held := h.want(202, "POST", ns+"actions/b", "")["activationId"].(string)
	eventually(t, "the eviction of a's container", func() bool {
		idle, busy := h.p.Containers()
		return !alive(a) && idle == 0 && busy == 1
	})
	rec := h.invoke(500, "a", "") // b holds all the memory
	if got := fmt.Sprint(at(rec, "response", "result", "error")); !strings.Contains(got, "all are busy") {
		t.Errorf("error: %s", got)
	}
	os.Remove(gate)
	eventually(t, "the end of b", func() bool { return h.call("GET", ns+"activations/"+held, "").status == 200 })
	h.invoke(200, "a", "")
	h.action("huge", "x", `{"memory":512}`)
	if got := fmt.Sprint(at(h.invoke(500, "huge", ""), "response", "result", "error")); !strings.Contains(got, "the action wants 512 MB") {
		t.Errorf("error: %s", got)
	}
}

func TestDeadIdleContainerIsReplaced(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("a", "x", "")
	pid := pidOf(h.invoke(200, "a", ""))
	n, _ := strconv.Atoi(pid)
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Reaped, not only a zombie: other threads may hold the sockets a little longer.
	eventually(t, "the death", func() bool { return syscall.Kill(n, 0) != nil })
	if again := pidOf(h.invoke(200, "a", "")); again == pid {
		t.Errorf("the dead container answered")
	}
}

func TestAlwaysTrue4CloseLeavesNoProcess(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("a", "x", "")
	began := filepath.Join(t.TempDir(), "began")
	h.action("slow", "count="+began+" sleep=60000", "")
	pid := pidOf(h.invoke(200, "a", ""))
	id := h.want(202, "POST", ns+"actions/slow", "")["activationId"].(string)
	eventually(t, "the slow run", func() bool { return exists(began) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no patience with what runs
	if err := h.p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if alive(pid) || len(childrenOf(os.Getpid())) != 0 {
		t.Errorf("processes are left: %v", childrenOf(os.Getpid()))
	}
	again := open(t, h.dir, nil)
	rec := again.want(200, "GET", ns+"activations/"+id, "")
	if fmt.Sprint(at(rec, "response", "result", "error")) != "The platform was stopped before the action ended." {
		t.Errorf("the record: %v", rec)
	}
}

// TestAlwaysTrue4NoProcessOutlivesThePlatform kills a platform in a process of its
// own, which tells the pid of its container first.
func TestAlwaysTrue4NoProcessOutlivesThePlatform(t *testing.T) {
	const variable = "WHISKAWAY_TEST_PLATFORM_DIR"
	if dir := os.Getenv(variable); dir != "" {
		h := open(t, dir, nil)
		h.action("a", "x", "")
		fmt.Println("pid " + pidOf(h.invoke(200, "a", "")))
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := waitForPid(t, out)
	if !alive(pid) {
		t.Fatalf("there is no container %s", pid)
	}
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "the container's end", func() bool { return !alive(pid) })
}

// Who comes while the platform waits for its last runs is told at once, and does
// not wait for a platform that will not run anything any more.
func TestAlwaysTrue7InvocationsDuringCloseAreRefused(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	gate := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	began := filepath.Join(t.TempDir(), "began")
	h.action("slow", "count="+began+" until="+gate, "")
	id := h.want(202, "POST", ns+"actions/slow", "")["activationId"].(string)
	eventually(t, "the slow run", func() bool { return exists(began) })
	closed := make(chan error)
	go func() { closed <- h.p.Close(context.Background()) }()
	eventually(t, "a refusal", func() bool {
		res := h.call("POST", ns+"actions/slow", "")
		return res.status == 503 && strings.Contains(string(res.body), "about to stop")
	})
	os.Remove(gate)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	again := open(t, h.dir, nil)
	if rec := again.want(200, "GET", ns+"activations/"+id, ""); at(rec, "response", "success") != true {
		t.Errorf("the run that was waited for: %v", rec)
	}
}
