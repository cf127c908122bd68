package balancer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A row is one member in a table test of place.
type row struct {
	name     string
	holds    string // "", "ready", "starting", or "unfit": ready, but no server there fits any more
	inFlight int    // of the function, there
	other    int    // of other functions, there
	slots    int    // 4 when 0
	warm     bool   // the member says that it has the function
	tried    bool
}

// picture makes the snapshot of a table.
func picture(f *fn, rows []row) (snapshot, demand) {
	s := snapshot{perMember: 100, grace: 30 * time.Second}
	d := demand{f: f}
	for _, r := range rows {
		m := &member{Member: Member{ID: r.name, Name: r.name}, seed: seedOf(r.name), inFlight: r.inFlight + r.other,
			holders: map[function.ID]*holder{}, warm: map[function.ID]bool{f.id: r.warm}}
		if r.slots == 0 {
			r.slots = 4
		}
		if r.holds != "" {
			h := &holder{f: f, m: m, fits: r.holds != "unfit", slots: r.slots, inFlight: r.inFlight}
			if r.holds == "starting" {
				h.start = &start{}
			}
			m.holders[f.id] = h
			s.holders = append(s.holders, h)
		}
		if r.holds != "unfit" {
			s.fitting = append(s.fitting, fitting{m: m, servers: 1, cpus: r.slots / runsPerCPU})
		}
		if r.tried {
			d.tried = append(d.tried, m)
		}
	}
	return s, d
}

func (d decision) String() string {
	switch d.verdict {
	case runAt:
		text := "run " + d.holder.m.Name
		if d.widen != nil {
			text += ", start " + d.widen.m.Name
		}
		return text
	case startAt:
		return "start " + d.fitting.m.Name
	}
	return []string{waitUntil: "wait", allFull: "full", exhausted: "exhausted", nobody: "nobody"}[d.verdict]
}

func TestPlace(t *testing.T) {
	now := time.Unix(1000, 0)
	tests := []struct {
		name    string
		rows    []row
		lastFit time.Time
		widen   time.Time // no widening before
		want    string
	}{
		{name: "nobody", want: "nobody"},
		{name: "somebody was there", lastFit: now.Add(-29 * time.Second), want: "wait"},
		{name: "somebody was there too long ago", lastFit: now.Add(-30 * time.Second), want: "nobody"},
		{name: "cold", rows: []row{{name: "a"}}, want: "start a"},
		{name: "cold, the idle one", rows: []row{{name: "a", other: 3}, {name: "b"}, {name: "c", other: 1}}, want: "start b"},
		{name: "cold, relative to its size", rows: []row{{name: "a", other: 3}, {name: "b", other: 5, slots: 16}}, want: "start b"},
		{name: "cold, but one says it is warm there", rows: []row{{name: "a"}, {name: "b", other: 9, warm: true}, {name: "c"}}, want: "start b"},
		{name: "ready before idle", rows: []row{{name: "a", holds: "ready", inFlight: 3}, {name: "b"}}, want: "run a"},
		{name: "ready before starting", rows: []row{{name: "a", holds: "starting"}, {name: "b", holds: "ready", inFlight: 3}}, want: "run b"},
		{name: "least in flight", rows: []row{{name: "a", holds: "ready", inFlight: 2}, {name: "b", holds: "ready", inFlight: 1}}, want: "run b"},
		{name: "least relative to slots", rows: []row{{name: "a", holds: "ready", inFlight: 2}, {name: "b", holds: "ready", inFlight: 3, slots: 16}}, want: "run b"},
		{name: "saturated: widen", rows: []row{{name: "a", holds: "ready", inFlight: 4}, {name: "b", other: 2}, {name: "c", other: 1}}, want: "run a, start c"},
		{name: "saturated, one start is enough", rows: []row{{name: "a", holds: "ready", inFlight: 4}, {name: "b", holds: "starting"}, {name: "c"}}, want: "run a"},
		{name: "saturated, a start just failed", rows: []row{{name: "a", holds: "ready", inFlight: 4}, {name: "b"}}, widen: now.Add(1), want: "run a"},
		{name: "saturated, nobody else", rows: []row{{name: "a", holds: "ready", inFlight: 9}}, want: "run a"},
		{name: "join the start", rows: []row{{name: "a", holds: "starting", inFlight: 3}, {name: "b"}}, want: "run a"},
		{name: "the start has its fill", rows: []row{{name: "a", holds: "starting", inFlight: 4}, {name: "b"}}, want: "start b"},
		{name: "the only start has its fill", rows: []row{{name: "a", holds: "starting", inFlight: 9}}, want: "run a"},
		{name: "draining holder", rows: []row{{name: "a", holds: "unfit"}, {name: "b"}}, want: "start b"},
		{name: "only a draining holder", rows: []row{{name: "a", holds: "unfit"}}, want: "nobody"},
		{name: "the holder refused", rows: []row{{name: "a", holds: "ready", tried: true}, {name: "b", other: 2}}, want: "start b"},
		{name: "all refused", rows: []row{{name: "a", holds: "ready", tried: true}, {name: "b", tried: true}}, want: "exhausted"},
		{name: "enough refused", rows: []row{{name: "a", tried: true}, {name: "b", tried: true}, {name: "c", tried: true}, {name: "d", tried: true}, {name: "e"}}, want: "exhausted"},
		{name: "full", rows: []row{{name: "a", holds: "ready", inFlight: 100}, {name: "b", other: 100}}, want: "full"},
		{name: "full holder", rows: []row{{name: "a", holds: "ready", inFlight: 4, other: 96}, {name: "b"}}, want: "start b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fn{id: function.ID{1}, seed: 7, widenAfter: tt.widen}
			s, d := picture(f, tt.rows)
			s.lastFit = tt.lastFit
			if got := place(s, d, now).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever the order in which members are looked at, the answer is the same, and
// it names somebody who may be asked.
func TestPlaceDoesNotDependOnOrder(t *testing.T) {
	holds := []string{"", "ready", "starting", "unfit"}
	for range 2000 {
		var rows []row
		for i := range rand.IntN(8) {
			rows = append(rows, row{name: fmt.Sprint("s", i), holds: holds[rand.IntN(4)], inFlight: rand.IntN(6),
				other: rand.IntN(3), slots: 4 * (1 + rand.IntN(3)), warm: rand.IntN(3) == 0, tried: rand.IntN(6) == 0})
		}
		f := &fn{id: function.ID{1}, seed: rand.Uint64()}
		s, d := picture(f, rows)
		first := place(s, d, time.Unix(1, 0))
		rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		s2, d2 := picture(f, rows)
		if again := place(s2, d2, time.Unix(1, 0)); first.String() != again.String() {
			t.Fatalf("%q, and in another order %q: %+v", first, again, rows)
		}
		if h := first.holder; h != nil && (!h.fits || slices.Contains(d.tried, h.m)) {
			t.Fatalf("%q for %+v", first, rows)
		}
	}
}

// Different functions begin on different servers when all are idle.
func TestColdFunctionsSpread(t *testing.T) {
	var rows []row
	for i := range 10 {
		rows = append(rows, row{name: fmt.Sprint("server-", i)})
	}
	count := map[string]int{}
	for i := range 1000 {
		id := specOf(fmt.Sprint(i)).ID()
		s, d := picture(&fn{id: id, seed: seedOf(string(id[:]))}, rows)
		count[place(s, d, time.Time{}).fitting.m.Name]++
	}
	for _, r := range rows { // 100 each expected, standard deviation below 10
		if n := count[r.name]; n < 50 || n > 150 {
			t.Errorf("%s got %d of 1000", r.name, n)
		}
	}
}

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
