package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// overlapping creates an action of whose runs several may be in one container.
func (s *standalone) overlapping(name, kind, code string, concurrency, timeout int) {
	s.t.Helper()
	body, _ := json.Marshal(map[string]any{
		"exec":   map[string]any{"kind": kind, "code": code},
		"limits": map[string]any{"concurrency": concurrency, "timeout": timeout},
	})
	if status, answer := s.call("PUT", "/namespaces/_/actions/"+name+"?overwrite=true", string(body)); status != 200 {
		s.t.Fatalf("creating %s: %d %s", name, status, answer)
	}
}

// containers asks `whiskaway status` for the platform's part.
func (s *standalone) containers() *function.PlatformStatus {
	s.t.Helper()
	cmd := exec.Command(binary, "status", "--json", "--data", s.dir)
	cmd.Env = cleanEnv(s.t)
	out, err := cmd.Output()
	var status function.Status
	if err != nil || json.Unmarshal(out, &status) != nil || status.Platform == nil {
		s.t.Fatalf("status: %v: %s", err, out)
	}
	return status.Platform
}

func (s *standalone) count(of func(function.ContainerStatus) int) (n int) {
	s.t.Helper()
	for _, k := range s.containers().Kinds {
		n += of(k)
	}
	return n
}

func busyOnes(c function.ContainerStatus) int    { return c.Busy }
func pausedOnes(c function.ContainerStatus) int  { return c.Paused }
func prewarmOnes(c function.ContainerStatus) int { return c.Prewarm }

// A function that prints its own number in all ways that there are, and waits in between.
const printingPython = `import subprocess, sys, threading, time
def main(args):
    n = args["n"]
    for i in range(4):
        print("out", n, i)
        print("err", n, i, file=sys.stderr)
        time.sleep(0.005)
    print("x" * 20000)
    print("no end", n, end="")
    return {"n": n}
`

const printingNode = `async function main(args) {
  for (let i = 0; i < 4; i++) {
    console.log("out", args.n, i);
    console.error("err", args.n, i);
    await new Promise(r => setTimeout(r, 5));
  }
  console.log("x".repeat(20000));
  process.stdout.write("no end " + args.n);
  return {n: args.n};
}
`

func wantedLogs(n int) (lines []string) {
	for i := range 4 {
		lines = append(lines, fmt.Sprintf("stdout: out %d %d", n, i))
	}
	lines = append(lines, "stdout: "+strings.Repeat("x", 20000), fmt.Sprintf("stdout: no end %d", n))
	for i := range 4 {
		lines = append(lines, fmt.Sprintf("stderr: err %d %d", n, i))
	}
	return lines
}

// inStreams returns the lines without their times, those of stdout first.
func inStreams(logs []string) (lines []string) {
	for _, stream := range []string{"stdout: ", "stderr: "} {
		for _, l := range logs {
			if _, text, _ := strings.Cut(l, " "); strings.HasPrefix(text, stream) {
				lines = append(lines, text)
			}
		}
	}
	return lines
}

func TestAlwaysTrue3LogsOfOverlappingRunsOnThePlatform(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	for kind, code := range map[string]string{"python:3": printingPython, "nodejs:20": printingNode} {
		name := "printing-" + kind[:4]
		s.overlapping(name, kind, code, 8, 60000)
		s.invoke(name, `{"n":0}`)
		var all sync.WaitGroup
		for c := range 8 {
			all.Go(func() {
				for i := range 6 {
					n := c*100 + i + 1
					a := s.invoke(name, fmt.Sprintf(`{"n":%d}`, n))
					if got := inStreams(a.Logs); !slices.Equal(got, wantedLogs(n)) {
						t.Errorf("%s: run %d has the logs %.2000q", kind, n, got)
					}
				}
			})
		}
		all.Wait()
	}
	if n := s.count(func(c function.ContainerStatus) int { return c.Warm + c.Busy }); n != 2 {
		t.Errorf("8 runs at a time of two actions took %d containers", n)
	}
}

// One of several runs in a container takes too long, and another crashes: each is told, has its own logs, and
// the rest go on.
func TestOverlappingRunsThatFailOnThePlatform(t *testing.T) {
	share := shared(t)
	gate := filepath.Join(share, "gate")
	s := startStandalone(t, t.TempDir(), "--share", share)
	code := `import os, time
def main(args):
    print(args["what"])
    if args["what"] == "crash":
        os._exit(3)
    while args["what"] == "late" or args["what"] == "wait" and not os.path.exists(args["gate"]):
        time.sleep(0.005)
    return args
`
	s.overlapping("mixed", "python:3", code, 4, 1500)
	s.overlapping("patient", "python:3", code, 4, 60000)
	if a := s.invoke("mixed", `{"what":"fine"}`); !a.Response.Success {
		t.Fatalf("%+v", a)
	}
	late := s.invokeBeside("mixed", `{"what":"late"}`)
	crash := s.invokeBeside("mixed", `{"what":"crash"}`)
	for what, answer := range map[string]<-chan activation{"late": late, "crash": crash} {
		a := <-answer
		if a.StatusCode != 2 || len(a.Logs) == 0 || !strings.HasSuffix(a.Logs[0], "stdout: "+what) {
			t.Errorf("%s: %d %s %q", what, a.StatusCode, a.Response.Result, a.Logs)
		}
	}
	waiting := s.invokeBeside("patient", fmt.Sprintf(`{"what":"wait","gate":%q}`, gate))
	eventually(t, "the run that waits", func() bool { return s.count(busyOnes) == 1 })
	if a := s.invoke("patient", `{"what":"crash"}`); a.StatusCode != 2 {
		t.Errorf("the crash: %+v", a)
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if a := <-waiting; !a.Response.Success || len(a.Logs) != 1 {
		t.Errorf("a neighbour's crash hit another run: %s %q", a.Response.Result, a.Logs)
	}
}

const burning = `import os, subprocess, threading
count = 0
def burn():
    global count
    while True:
        count += 1
def main(args):
    if args.get("start"):
        threading.Thread(target=burn, daemon=True).start()
        subprocess.Popen(["/bin/sh", "-c", "(setsid sh -c 'while :; do :; done' &) ; while :; do :; done"], start_new_session=True)
    return {"count": count}
`

// cpuOf returns the CPU time of all processes that mention text, and how many there are.
func cpuOf(text string) (ticks, processes int) {
	for _, found := range processesWith(text) {
		pid, _, _ := strings.Cut(found, " ")
		stat, _ := os.ReadFile("/proc/" + pid + "/stat")
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 12 {
			user, _ := strconv.Atoi(string(fields[11]))
			system, _ := strconv.Atoi(string(fields[12]))
			ticks, processes = ticks+user+system, processes+1
		}
	}
	return ticks, processes
}

// What a function leaves running stands still while its container is paused, in whatever
// session it is; it goes on with the next run; and it dies with the platform, kill -9 included.
func TestPausedContainersOnThePlatform(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("without /proc nothing can be paused")
	}
	s := startStandalone(t, t.TempDir(), "--pause-after", "200ms", "--prewarm", "python=1:256")
	eventually(t, "the prewarmed container", func() bool { return s.count(prewarmOnes) == 1 })
	name := fmt.Sprintf("burning%d", time.Now().UnixNano())
	s.put(name, action{kind: "python:3", code: burning})
	first := s.invoke(name, `{"start":true}`)
	if !first.Response.Success {
		t.Fatalf("%s", first.Response.Result)
	}
	countOf := func(a activation) (n int) {
		var r struct{ Count int }
		json.Unmarshal(a.Response.Result, &r)
		return r.Count
	}
	before := 0
	for range 2 {
		eventually(t, "the pause", func() bool { return s.count(pausedOnes) == 1 })
		ticks, processes := cpuOf(name)
		if processes < 3 {
			t.Fatalf("%d processes are to be seen: %v", processes, processesWith(name))
		}
		time.Sleep(100 * time.Millisecond)
		if later, _ := cpuOf(name); later != ticks {
			t.Errorf("paused, but %d ticks of CPU time were used", later-ticks)
		}
		a := s.invoke(name, `{}`)
		if count := countOf(a); count <= before {
			t.Errorf("the thread did not go on: %d, %d; %s", before, count, a.Response.Result)
		} else {
			before = count
		}
		for _, an := range a.Annotations {
			if an.Key == "initTime" {
				t.Error("another container was started")
			}
		}
	}
	eventually(t, "the pause", func() bool { return s.count(pausedOnes) == 1 })
	s.kill()
	nothingLeft(t, name)
	nothingLeft(t, s.dir)
}

func TestLocalRunsTellWhereTheTimeWent(t *testing.T) {
	s := startStandalone(t, t.TempDir())
	s.put("hello", action{kind: "python:3", code: "def main(args): return {}"})
	host, _ := os.Hostname()
	for _, cold := range []bool{true, false} {
		a := s.invoke("hello", "{}")
		var way struct {
			Server   string
			Cold     bool
			Stations map[string]float64
		}
		for _, an := range a.Annotations {
			if an.Key == "whiskaway" {
				json.Unmarshal(an.Value, &way)
			}
		}
		at := 0.0
		for _, station := range []string{"function", "server", "runtime", "invoker", "controller"} {
			if way.Stations[station] <= at {
				t.Errorf("%s took %v ms, what lies behind it %v", station, way.Stations[station], at)
			}
			at = way.Stations[station]
		}
		if way.Cold != cold || way.Server != host {
			t.Errorf("cold %v at %q; want %v at %q", way.Cold, way.Server, cold, host)
		}
	}
}

func TestPoolFlagsSayWhatIsWrong(t *testing.T) {
	for flag, want := range map[string]string{
		"--container-memory=1k":      "not even one megabyte",
		"--container-memory=x":       "--container-memory",
		"--container-idle=0s":        "--container-idle: a time such as",
		"--pause-after=-1s":          "--pause-after: a time such as",
		"--prewarm=python":           "kind=how many:megabytes",
		"--prewarm=python=0:256":     "kind=how many:megabytes",
		"--prewarm=python=99:256":    "these containers would take 25344 MB",
		"--prewarm=cobol=1:256":      `containers of kind "cobol"`,
		"--prewarm=python=1:256:512": "kind=how many:megabytes",
	} {
		cmd := exec.Command(binary, "standalone", "--listen", "127.0.0.1:0", "--balancer-listen", "127.0.0.1:0", "--data", t.TempDir(), flag)
		cmd.Env = cleanEnv(t)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", flag, err, out)
		}
	}
}

// An action has the memory that its limit says, and no more, also in a prewarmed container.
func TestMemoryLimitHoldsOnThePlatform(t *testing.T) {
	s := startStandalone(t, t.TempDir(), "--prewarm", "python:3=1:128")
	body, _ := json.Marshal(map[string]any{
		"exec": map[string]any{"kind": "python:3", "code": `def main(args):
    x = bytearray(args["mb"] << 20)
    for i in range(0, len(x), 4096):
        x[i] = 1
    return {"mb": len(x) >> 20}
`},
		"limits": map[string]any{"memory": 128},
	})
	if status, answer := s.call("PUT", "/namespaces/_/actions/hungry", string(body)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	eventually(t, "the prewarmed container", func() bool { return s.count(prewarmOnes) == 1 })
	for _, mb := range []int{50, 400, 50} {
		a := s.invoke("hungry", fmt.Sprintf(`{"mb":%d}`, mb))
		switch text := string(a.Response.Result); {
		case mb < 128 && !a.Response.Success:
			t.Errorf("%d MB: %s", mb, text)
		case mb > 128 && (a.StatusCode != 2 || !strings.Contains(text, "out of memory")):
			t.Errorf("%d MB: %d %s", mb, a.StatusCode, text)
		}
	}
}
