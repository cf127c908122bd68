package test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// harmful does what a function should not do.
const harmful = `
import os, subprocess, sys, threading, time
def main(args):
    how = args.get("how")
    print("begins:", how, flush=True)
    if how == "memory":
        hoard = []
        while True: hoard.append(bytearray(8 << 20))
    if how == "forks":
        while True:
            try: os.fork()
            except OSError: time.sleep(0.01)
    if how == "disk":
        n = 0
        while True:
            with open("%s/%d" % (os.environ["TMPDIR"], n), "wb") as f: f.write(os.urandom(4 << 20))
            n += 1
    if how == "never":
        while True: time.sleep(1000)
    if how == "busy":
        while True: pass
    if how == "prints":
        for _ in range(100): sys.stdout.write("x" * ((1 << 20) - 1) + "\n")
    return {"done": how}
`

// A function that eats memory, one that forks without end, one that fills its disk, one that never returns, one
// that prints 100 MB: each fails alone with a clear cause, and a neighbour goes on.
func TestAlwaysTrue10HarmfulFunctionsFailAlone(t *testing.T) {
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			d := begin(t, "--disk", "64m", "--memory", "3g")
			harm(t, d)
		})
	}
}

func harm(t *testing.T, d *solo) {
	t.Helper()
	t.Logf("enforced: %s", strings.Join(d.status().Servers[0].Walls, ", "))
	named := func(action string) func(*function.Spec) {
		return func(s *function.Spec) { s.Action, s.Require.Memory = action, 256<<20 }
	}
	neighbour := d.init(specOf("python:3", spy, named("neighbour")), spy)
	worker := neighbour.run(`{}`)["worker"]
	t.Logf("the neighbour's p99 alone: %v", p99(neighbour, func() bool { return false }))
	for _, c := range []struct {
		how     string
		timeout time.Duration
		outcome function.Outcome
		words   string
	}{
		{"memory", patience, function.OutcomeCrashed, "memory"},
		{"forks", 3 * time.Second, "", ""}, // ends at its time limit, or for its processes, or for their memory
		{"disk", patience, function.OutcomeCrashed, "disk"},
		{"never", time.Second, function.OutcomeTimeout, "time limit"},
		{"busy", time.Second, function.OutcomeTimeout, "time limit"},
		{"prints", patience, function.OutcomeOK, ""},
	} {
		g := d.init(specOf("python:3", harmful, named(c.how)), harmful)
		ended := make(chan ending, 1)
		go func() { ended <- g.try(context.Background(), fmt.Sprintf(`{"how":%q}`, c.how), c.timeout) }()
		var e ending
		slow := p99(neighbour, func() bool {
			select {
			case e = <-ended:
				return false
			default:
				return true
			}
		})
		if e.Outcome == "" && e.err == nil {
			e = <-ended
		}
		t.Logf("%s: %s, %q; the neighbour's p99 meanwhile: %v", c.how, e.Outcome, e.Error, slow)
		if e.err != nil {
			t.Errorf("%s: %v", c.how, e.err)
			continue
		}
		if c.outcome != "" && e.Outcome != c.outcome || !strings.Contains(e.Error, c.words) {
			t.Errorf("%s ended as %s: %q", c.how, e.Outcome, e.Error)
		}
		if c.how == "forks" && e.Outcome != function.OutcomeTimeout && !strings.Contains(e.Error, "processes") && !strings.Contains(e.Error, "memory") {
			t.Errorf("forks ended as %s: %q", e.Outcome, e.Error)
		}
		if !strings.HasPrefix(e.logs, "begins: "+c.how) {
			t.Errorf("%s: its logs are %.100q", c.how, e.logs)
		}
		// The next run gets a new worker.
		if done := g.run(`{"how":"nothing"}`)["done"]; done != "nothing" {
			t.Errorf("after %s: %v", c.how, done)
		}
		g.stop()
	}
	// A function that does so while it is loaded does not start.
	const greedy = "hoard = []\nwhile True: hoard.append(bytearray(8 << 20))\ndef main(args): return args\n"
	_, err := d.tryInit(t.Context(), specOf("python:3", greedy, named("greedy")), greedy)
	if function.CodeOf(err) != function.CodeInitFailed || !strings.Contains(err.Error(), "memory") {
		t.Errorf("a function that eats memory while it is loaded: %v", err)
	}
	if again := neighbour.run(`{}`)["worker"]; again != worker {
		t.Error("the neighbour has lost its worker")
	}
}

// p99 is how long the slowest of a hundred runs of g takes; it goes on as long as more says.
func p99(g *guest, more func() bool) time.Duration {
	var times []time.Duration
	for len(times) < 50 || more() {
		begun := time.Now()
		g.run(`{}`)
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	return times[len(times)*99/100]
}

// 50 functions of 256 MB on a server with a budget of 2 GB, called at random.
func TestAlwaysTrue8FiftyFunctionsInTheRoomOfEight(t *testing.T) {
	d := startSolo(t, "--memory", "2g")
	calls := 100
	if slow() {
		calls = 2000
	}
	const functions = 50
	guests := make([]*guest, functions)
	for i := range guests {
		spec := specOf("python:3", countPy, func(s *function.Spec) {
			s.Action, s.Require.Memory = fmt.Sprint("f", i), 256<<20
		})
		guests[i] = d.init(spec, countPy)
	}
	ctx, stop := context.WithCancel(t.Context())
	most := 0
	var watching, calling sync.WaitGroup
	watching.Go(func() {
		d.client.Watch(ctx, func(s function.Status) error {
			most = max(most, s.Servers[0].Workers)
			if used := s.Servers[0].Memory.Used; used > 2<<30 {
				t.Errorf("%d MB are used", used>>20)
			}
			return nil
		})
	})
	for caller := range 8 {
		calling.Go(func() {
			for n := range calls / 8 {
				g := guests[(n*(7+caller)+caller*13)%functions]
				e := g.try(t.Context(), `{}`, patience)
				if e.err != nil || e.Outcome != function.OutcomeOK {
					t.Errorf("%v, %+v", e.err, e.Summary)
				}
			}
		})
	}
	calling.Wait()
	s := d.status().Servers[0]
	stop()
	watching.Wait()
	t.Logf("at most %d workers at once, %d evictions", most, s.Evictions)
	if most > 8 || s.Evictions == 0 || s.Functions != functions {
		t.Errorf("at most %d workers at once, %d evictions, %d functions", most, s.Evictions, s.Functions)
	}
}
