package main

import (
	"math"
	"strings"
	"testing"
)

func TestOwnShares(t *testing.T) {
	shares, total := own(journey{Stations: map[string]float64{
		"function": 1.2, "server": 2, "balancer": 2.5, "runtime": 3.5, "invoker": 4, "controller": 6}})
	want := map[string]float64{"function": 1.2, "server": 0.8, "balancer": 0.5, "runtime": 1, "invoker": 0.5, "controller": 2}
	for station, ms := range want {
		if math.Abs(shares[station]-ms) > 1e-9 {
			t.Errorf("%s: %v, want %v", station, shares[station], ms)
		}
	}
	if total != 6 {
		t.Errorf("total %v, want 6", total)
	}
}

func TestOwnSharesWithoutBalancer(t *testing.T) {
	shares, total := own(journey{Stations: map[string]float64{"function": 1, "server": 2, "runtime": 4, "invoker": 5, "controller": 7}})
	if _, there := shares["balancer"]; there || shares["runtime"] != 2 || total != 7 {
		t.Errorf("%v, total %v", shares, total)
	}
}

func TestTable(t *testing.T) {
	got := table([]row{
		{"hello", journey{Cold: true, Start: 90, Stations: map[string]float64{"function": 1, "server": 2, "runtime": 40, "invoker": 150, "controller": 152.04}}},
		{"hello-js", journey{Stations: map[string]float64{"function": 1, "server": 1, "balancer": 1.5, "runtime": 2, "invoker": 3, "controller": 12345}}},
	})
	want := strings.TrimPrefix(`
call            controller  invoker  start  runtime  balancer  server  function    total
hello     cold         2.0     20.0   90.0     38.0         -     1.0       1.0    152.0
hello-js  warm     12342.0      1.0      -      0.5       0.5     0.0       1.0  12345.0
`, "\n")
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMilliseconds(t *testing.T) {
	for _, c := range []struct {
		ms    float64
		known bool
		want  string
	}{{-0.01, true, "0.0"}, {-3, true, "-3.0"}, {1.25, true, "1.2"}, {0, false, "-"}} {
		if got := milliseconds(c.ms, c.known); got != c.want {
			t.Errorf("milliseconds(%v, %v) = %q, want %q", c.ms, c.known, got, c.want)
		}
	}
}

func TestTook(t *testing.T) {
	for ms, want := range map[float64]string{0.6: "0.6 ms", 999: "999.0 ms", 12597: "12.6 s"} {
		if got := took(ms); got != want {
			t.Errorf("took(%v) = %q, want %q", ms, got, want)
		}
	}
}
