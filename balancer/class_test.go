package balancer

import (
	"testing"

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
