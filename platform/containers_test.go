package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/invoker"
)

// gateFile returns a file that runs wait for to go.
func gateFile(t *testing.T) string {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return gate
}

func linesIn(file string) int {
	data, _ := os.ReadFile(file)
	return strings.Count(string(data), "\n")
}

func TestRunsOverlapInOneContainer(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	gate, count := gateFile(t), filepath.Join(t.TempDir(), "count")
	h.action("a", "count="+count+" until="+gate, `{"concurrency":4}`)
	var all sync.WaitGroup
	var mu sync.Mutex
	pids := map[string]int{}
	for range 5 {
		all.Go(func() {
			rec := h.invoke(200, "a", "")
			mu.Lock()
			defer mu.Unlock()
			pids[pidOf(rec)]++
			if at(rec, "response", "result", "concurrent") != "true" {
				t.Error("the container was not told that runs overlap")
			}
		})
	}
	eventually(t, "five runs at a time", func() bool { return linesIn(count) == 5 })
	os.Remove(gate)
	all.Wait()
	if len(pids) != 2 {
		t.Errorf("five runs, four of which may share a container, had %v", pids)
	}
}

// A run that fails takes its container out of use, but not away from the others in it.
func TestAlwaysTrue10AFailedRunLeavesItsNeighboursAlone(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	gate, count := gateFile(t), filepath.Join(t.TempDir(), "count")
	h.action("a", "count="+count+" until="+gate, `{"concurrency":3,"timeout":60000}`)
	h.action("quick", "x", "")
	var all sync.WaitGroup
	all.Go(func() { h.invoke(200, "a", "") })
	eventually(t, "the first run", func() bool { return linesIn(count) == 1 })
	// One whose caller reads a stream, and leaves.
	ctx, leave := context.WithCancel(t.Context())
	req := h.request("POST", ns+"actions/a?blocking=true&result=true", "").WithContext(ctx)
	req.SetBasicAuth(h.auth[0], h.auth[1])
	req.Header.Set("Accept", "text/event-stream")
	gone := make(chan error)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
		}
		gone <- err
	}()
	eventually(t, "the second run", func() bool { return linesIn(count) == 2 })
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the reader's end: %v", err)
	}
	all.Go(func() { h.invoke(200, "a", "") })
	eventually(t, "the third run", func() bool { return linesIn(count) == 3 })
	os.Remove(gate)
	all.Wait()
}

func TestPrewarmedContainersAreUsedAndReplaced(t *testing.T) {
	h := open(t, t.TempDir(), func(c *Config) {
		c.Invoker.Memory = 1024
		c.Invoker.Prewarm = []invoker.Prewarm{{Kind: "python:default", Count: 2, Memory: 256}}
	})
	two := func() bool { return h.p.Status().Containers.Prewarm == 2 }
	eventually(t, "two prewarmed containers", two)
	before := childrenOf(os.Getpid())
	h.action("a", "x", "")
	pid := pidOf(h.invoke(200, "a", ""))
	if !strings.Contains(fmt.Sprint(before), pid) {
		t.Errorf("the run was in %s, prewarmed were %v", pid, before)
	}
	eventually(t, "a successor", two)
	for _, child := range childrenOf(os.Getpid()) {
		if n, err := strconv.Atoi(fmt.Sprint(child)); err == nil && fmt.Sprint(child) != pid {
			syscall.Kill(n, syscall.SIGKILL)
		}
	}
	eventually(t, "new ones for those that died", func() bool {
		for _, old := range before {
			if alive(fmt.Sprint(old)) && fmt.Sprint(old) != pid {
				return false
			}
		}
		return two()
	})
	// Running work goes first: four of these want all the memory.
	gate, count := gateFile(t), filepath.Join(t.TempDir(), "count")
	h.action("b", "count="+count+" until="+gate, "")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { h.invoke(200, "b", "") })
	}
	eventually(t, "four runs", func() bool { return linesIn(count) == 4 })
	if s := h.p.Status(); s.Containers.Prewarm != 0 || s.Used != 1024 || s.Containers.Busy != 4 {
		t.Errorf("while all memory is in use: %+v", s)
	}
	os.Remove(gate)
	all.Wait()
}

func TestPrewarmOfAnUnknownKindIsRefused(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Invoker: invoker.Config{Prewarm: []invoker.Prewarm{{Kind: "cobol", Count: 1, Memory: 1}}}}
	cfg.Driver = failingDriver{}
	if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), `kind "cobol"`) {
		t.Errorf("error: %v", err)
	}
}

func TestContainersOfOldRevisionsGoAtOnce(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	for _, c := range []struct{ what, name, method, path, body string }{
		{"an update", "a", "PUT", "actions/a?overwrite=true", `{"exec":{"kind":"python:3","code":"y"}}`},
		{"a deletion", "a", "DELETE", "actions/a", ""},
		{"an update of one with an environment", "p/a", "PUT", "actions/p/a?overwrite=true", `{"exec":{"kind":"python:3","code":"y"}}`},
		{"the deletion of its package", "p/a", "DELETE", "packages/p?force=true", ""},
	} {
		what := c.what
		end := func() { h.want(200, c.method, ns+c.path, c.body) }
		begin := func(code string) {
			h.want(200, "PUT", ns+"packages/p?overwrite=true", `{"parameters":[{"key":"E","value":"e","init":true}]}`)
			h.action(c.name, code, "")
		}
		begin("x")
		idle := pidOf(h.invoke(200, c.name, ""))
		end()
		eventually(t, "the end after "+what, func() bool { return !alive(idle) })
		gate, count := gateFile(t), filepath.Join(t.TempDir(), "count")
		begin("count=" + count + " until=" + gate)
		var busy string
		var all sync.WaitGroup
		all.Go(func() { busy = pidOf(h.invoke(200, c.name, "")) })
		eventually(t, "the run", func() bool { return linesIn(count) == 1 })
		end()
		os.Remove(gate)
		all.Wait() // it was not ended
		eventually(t, "the end of a busy one after "+what, func() bool { return !alive(busy) })
	}
}

// A failingDriver cannot start anything.
type failingDriver struct{ starts *atomic.Int64 }

func (d failingDriver) Start(context.Context, invoker.Spec) (invoker.Container, error) {
	d.starts.Add(1)
	return nil, errors.New("no such program")
}

func TestFailingStartsAreNoStormWithAFailingDriver(t *testing.T) {
	d := failingDriver{new(atomic.Int64)}
	h := open(t, t.TempDir(), func(c *Config) {
		c.Driver = d
		c.Invoker.Prewarm = []invoker.Prewarm{{Kind: "python:3", Count: 1, Memory: 128}}
	})
	h.action("a", "x", "")
	var last string
	for range 100 {
		rec := h.invoke(500, "a", "")
		last = fmt.Sprint(at(rec, "response", "result", "error"))
		if !strings.HasPrefix(last, "Failed to provision resources to run the action.") || !strings.Contains(last, "no such program") {
			t.Fatalf("error: %s", last)
		}
	}
	if !strings.Contains(last, "the next is tried in") {
		t.Errorf("error: %s", last)
	}
	if n := d.starts.Load(); n > 20 {
		t.Errorf("%d starts for 100 runs", n)
	}
}

// freezing is a change of the configuration: the runtimes themselves are stopped, which
// shows whether they are woken up before they are asked.
func freezing(t *testing.T, pauses *atomic.Int64) func(*Config) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		driver, err := invoker.NewProcess(invoker.ProcessConfig{
			Command: []string{exe}, Env: []string{fakeVariable + "=1"}, Log: c.Log,
			Freeze: func(pid int) (func(), error) {
				pauses.Add(1)
				return func() { syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Driver = driver
		c.Invoker.PauseAfter = 5 * time.Millisecond
	}
}

func TestPausedContainersAreWokenUp(t *testing.T) {
	var pauses atomic.Int64
	h := open(t, t.TempDir(), freezing(t, &pauses))
	h.action("a", "x", "")
	pid := pidOf(h.invoke(200, "a", ""))
	for round := range int64(3) {
		eventually(t, "a pause", func() bool { return h.p.Status().Containers.Paused == 1 && pauses.Load() > round })
		if again := pidOf(h.invoke(200, "a", "")); again != pid {
			t.Fatalf("another container: %s, %s", again, pid)
		}
	}
	eventually(t, "a pause", func() bool { return h.p.Status().Containers.Paused == 1 })
	// One that dies in its sleep is replaced.
	n, _ := strconv.Atoi(pid)
	syscall.Kill(n, syscall.SIGKILL)
	eventually(t, "the end of the dead one", func() bool { idle, busy := h.containers(); return idle+busy == 0 })
	h.invoke(200, "a", "")
	eventually(t, "a pause", func() bool { return h.p.Status().Containers.Paused == 1 })
	begun := time.Now()
	h.done() // and a paused one can be ended
	if took := time.Since(begun); took > 8*time.Second || len(childrenOf(os.Getpid())) > 0 {
		t.Errorf("the end took %v, left are %v", took, childrenOf(os.Getpid()))
	}
}

// Runs come at any moment: while a container falls asleep, sleeps, or goes.
func TestRunsMeetPausesAndEnds(t *testing.T) {
	var pauses atomic.Int64
	change := freezing(t, &pauses)
	h := open(t, t.TempDir(), func(c *Config) {
		change(c)
		c.Invoker.PauseAfter, c.Invoker.Idle = time.Millisecond, 20*time.Millisecond
	})
	h.action("a", "x", "")
	h.action("b", "x", `{"concurrency":3}`)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for n := range 25 {
				h.invoke(200, []string{"a", "b"}[i%2], "")
				time.Sleep(time.Duration((i+n)%7) * 4 * time.Millisecond)
			}
		})
	}
	all.Wait()
	if pauses.Load() == 0 {
		t.Error("nothing was ever paused")
	}
}

func TestContainerThatCannotBePausedIsRemoved(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, t.TempDir(), func(c *Config) {
		c.Driver, err = invoker.NewProcess(invoker.ProcessConfig{
			Command: []string{exe}, Env: []string{fakeVariable + "=1"}, Log: c.Log,
			Freeze: func(int) (func(), error) { return nil, errors.New("it does not stand still") },
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Invoker.PauseAfter = time.Millisecond
	})
	h.action("a", "x", "")
	pid := pidOf(h.invoke(200, "a", ""))
	eventually(t, "its end", func() bool { idle, busy := h.containers(); return idle+busy == 0 && !alive(pid) })
	h.invoke(200, "a", "")
}

// A caller who reads a stream and leaves while the run waits for a container starts none.
func TestReaderWhoLeavesWhileWaitingStartsNothing(t *testing.T) {
	h := open(t, t.TempDir(), func(c *Config) { c.Invoker.Memory = 256 })
	gate, count := gateFile(t), filepath.Join(t.TempDir(), "count")
	h.action("busy", "until="+gate, "")
	h.action("late", "count="+count, "")
	held := h.want(202, "POST", ns+"actions/busy", "")["activationId"].(string)
	eventually(t, "the busy run", func() bool { _, busy := h.containers(); return busy == 1 })
	ctx, leave := context.WithCancel(t.Context())
	req := h.request("POST", ns+"actions/late?blocking=true&result=true", "").WithContext(ctx)
	req.SetBasicAuth(h.auth[0], h.auth[1])
	req.Header.Set("Accept", "text/event-stream")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	eventually(t, "the reader's run", func() bool { return h.p.Status().Waiting == 1 })
	leave()
	<-gone
	eventually(t, "the end of its wait", func() bool { return h.p.Status().Waiting == 0 })
	os.Remove(gate)
	eventually(t, "the end of the busy run", func() bool { return h.call("GET", ns+"activations/"+held, "").status == 200 })
	if linesIn(count) != 0 {
		t.Error("the function ran for nobody")
	}
	list := h.call("GET", ns+"activations?name=late&docs=true", "")
	if !strings.Contains(string(list.body), "has left") {
		t.Errorf("the record: %s", list.body)
	}
}
