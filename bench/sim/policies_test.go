package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// standing is a front whose servers get no calls.
func standing(servers ...spec) *front {
	t := &trace{functions: []*function{{memory: mega, limit: time.Minute}}, servers: servers}
	return newFront(t, func(n *front) policy { return newDirect(n, &roundRobin{}) })
}

func TestBoundedHashingStaysAtHomeUntilItIsFull(t *testing.T) {
	n := standing(equal(4, 4, giga)...)
	b := newBounded(n)
	r := &run{f: n.trace.functions[0]}
	home := b.pick(r, n.members)
	if again := b.pick(r, n.members); again != home {
		t.Error("the home is another the second time")
	}
	home.load = 4 // of 4 in all, where 1.25 times the mean is 2
	if b.pick(r, n.members) == home {
		t.Error("the home is taken though it has more than 1.25 times the mean")
	}
}

func TestShardingStepsOnWhenMemoryIsTaken(t *testing.T) {
	n := standing(equal(5, 4, mega)...) // room for one run each
	p := newSharding(n, dice(1))
	seen := map[*member]bool{}
	for range 5 {
		seen[p.pick(&run{f: n.trace.functions[0]}, n.members)] = true
	}
	if len(seen) != 5 {
		t.Errorf("five runs went to %d servers that have room for one each", len(seen))
	}
	if m := p.pick(&run{f: n.trace.functions[0]}, n.members); m == nil {
		t.Error("with all memory taken no server is chosen; OpenWhisk takes one at random")
	}
}

func TestStepsHaveNoDivisorInCommon(t *testing.T) {
	for n := 1; n < 60; n++ {
		for _, step := range coprimes(n) {
			seen := map[int]bool{}
			for i := range n {
				seen[i*step%n] = true
			}
			if len(seen) != n {
				t.Errorf("by steps of %d one meets %d of %d", step, len(seen), n)
			}
		}
	}
}

func TestLeastLoadedTakesTheOneWithTheLeastForItsStrength(t *testing.T) {
	n := standing(spec{cpus: 2, strength: 1, memory: giga}, spec{cpus: 8, strength: 2, memory: giga})
	n.members[1].load = 6 // 7 for 16 is less than 1 for 2
	if m := (leastLoaded{dice(1)}).pick(&run{f: n.trace.functions[0]}, n.members); m != n.members[1] {
		t.Error("the strong server is not taken")
	}
}

func TestRunsOfALostServerAreLostOnce(t *testing.T) {
	tr := &trace{functions: []*function{{memory: mega, limit: time.Minute}}, servers: equal(1, 1, giga)}
	tr.calls = []call{{at: 0, work: 5}, {at: time.Second, work: 5}}
	tr.faults = []fault{{at: 2 * time.Second, kind: dies, lasts: time.Second}}
	for _, c := range contenders() {
		if r := newFront(tr, c.make).simulate(); r.lost != 2 {
			t.Errorf("%s: %d of 2 runs are lost: %+v", c.name, r.lost, r)
		}
	}
}

func TestASilentServerIsGivenUpAndComesBack(t *testing.T) {
	tr := &trace{functions: []*function{{memory: mega, limit: time.Minute}}, servers: equal(1, 1, giga)}
	tr.calls = []call{{at: time.Second, work: 5}, {at: 30 * time.Second, work: 1}}
	tr.faults = []fault{{at: 2 * time.Second, kind: vanishes, lasts: 20 * time.Second}}
	for _, c := range contenders() {
		r := newFront(tr, c.make).simulate()
		if r.lost != 1 || r.calls != 2 {
			t.Errorf("%s: %+v; want one call lost and one finished", c.name, r)
		}
	}
}

func TestTheWholeProgramWritesItsPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "simulation.md")
	o, err := parseFlags([]string{"-seeds", "2", "-size", "0.03", "-only", "steady,gpu", "-page", page}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	if err := compare(o, &out, &progress); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(policyNames(), "**steady**", "**gpu**", "simulation/p99.svg") {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page does not name %q", want)
		}
	}
	for _, plot := range []string{"mean.svg", "p99.svg", "starts.svg", "wasted.svg"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(page), "simulation", plot)); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(out.String(), "p99 of latency") {
		t.Errorf("nothing is said of where ours is worse:\n%s", out.String())
	}
}

func TestWrongFlagsAreTold(t *testing.T) {
	for _, args := range [][]string{{"-seeds", "0"}, {"-size", "-1"}, {"more"}} {
		if _, err := parseFlags(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	if err := compare(options{seeds: 1, size: 1, workers: 1, only: "nonsense"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), `"nonsense"`) {
		t.Errorf("-only nonsense: %v", err)
	}
}
