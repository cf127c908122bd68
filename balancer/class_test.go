package balancer

import (
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestSlots(t *testing.T) {
	c := fitting{servers: 2, cpus: 6}
	for _, tt := range []struct {
		r    function.Requirements
		want int
	}{
		{function.Requirements{}, 24},
		{function.Requirements{Workers: 3}, 6},
		{function.Requirements{Workers: 3, Concurrency: 5}, 30},
		{function.Requirements{Concurrency: 50}, 50},
	} {
		if got := slotsOf(c, tt.r); got != tt.want {
			t.Errorf("%+v: %d slots, want %d", tt.r, got, tt.want)
		}
	}
}

func TestFit(t *testing.T) {
	servers := []function.ServerStatus{
		fakeServer("a", 2, "eu", "gpu"), fakeServer("b", 0, "eu"), fakeServer("c", 8, "us"),
	}
	servers[2].Draining = true
	m := &member{status: function.Status{Servers: servers}}
	for _, tt := range []struct {
		kind          string
		labels        []string
		servers, cpus int
	}{
		{"python:3", nil, 2, 3},
		{"python:default", []string{"eu"}, 2, 3},
		{"python:3", []string{"eu", "gpu"}, 1, 2},
		{"python:3", []string{"gpu", "us"}, 0, 0},
		{"python:3", []string{"us"}, 0, 0},
		{"pyth:default", nil, 0, 0},
		{"nodejs:20", []string{"eu"}, 0, 0},
	} {
		got, ok := fit(m, tt.kind, tt.labels)
		if got.servers != tt.servers || got.cpus != tt.cpus || ok != (tt.servers > 0) {
			t.Errorf("%s %v: %d servers, %d CPUs, want %d and %d", tt.kind, tt.labels, got.servers, got.cpus, tt.servers, tt.cpus)
		}
	}
}

func TestRunsOnTheirWayKeepSlotsBusy(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		slots    int
		rtt, run time.Duration
		want     int
	}{
		{4, 1 * ms, 300 * ms, 0}, // nothing to gain
		{4, 80 * ms, 320 * ms, 1},
		{4, 80 * ms, 10 * ms, 32},
		{1, 100 * ms, ms / 10, maxUnderway},
		{4, 0, 10 * ms, 4}, // not known
		{4, 80 * ms, 0, 4},
	} {
		if got := underway(c.slots, c.rtt, c.run); got != c.want {
			t.Errorf("%d slots, %v away, runs of %v: %d more, want %d", c.slots, c.rtt, c.run, got, c.want)
		}
	}
}

func TestMachinesOfOneKindAreOneClass(t *testing.T) {
	a := function.ServerStatus{Arch: "amd64", Strength: 1.02, GPUs: []function.GPU{{Name: "NVIDIA A100"}, {Name: "NVIDIA A100"}}}
	b, c := a, a
	b.Strength, c.Strength = 0.97, 1.5
	if classOfServer(a) != "amd64 x1.0 NVIDIA A100" || classOfServer(a) != classOfServer(b) || classOfServer(a) == classOfServer(c) {
		t.Errorf("%q, %q, %q", classOfServer(a), classOfServer(b), classOfServer(c))
	}
	if got := classOfHost([]function.ServerStatus{c, a, b}); got != "amd64 x1.0 NVIDIA A100 + amd64 x1.4 NVIDIA A100" {
		t.Errorf("%q", got)
	}
}

// Who asks for a machine by its GPU gets one of them; a label that was given by hand is no GPU.
func TestNeedOfAGPUByLabel(t *testing.T) {
	gpu := []function.GPU{{Name: "NVIDIA A100"}}
	for _, c := range []struct {
		labels []string
		gpus   []function.GPU
		want   int
	}{
		{[]string{"gpu"}, gpu, 1}, {[]string{"a100"}, gpu, 1}, {[]string{"eu"}, gpu, 0}, {[]string{"gpu"}, nil, 0}, {nil, gpu, 0},
	} {
		s := fakeServer("a", 1, c.labels...)
		s.GPUs = c.gpus
		fit, _ := fit(&member{status: function.Status{Servers: []function.ServerStatus{s}}}, "python:3", c.labels)
		if got := needOf(function.Requirements{Labels: c.labels}, fit.byGPU).GPUs; got != c.want {
			t.Errorf("%v: %d GPUs, want %d", c.labels, got, c.want)
		}
	}
}
