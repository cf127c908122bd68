package placement

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var testNow = time.Unix(1_000_000, 0)

// A row is one host in a table test of Place, with what it has of the function. Runs take
// 1 s and a start 1 s where nothing else is said, and round trips 1 ms.
type row struct {
	name   string
	has    State
	found  Presence
	load   int           // runs of the function
	other  int           // runs of others
	slots  int           // 4 when 0
	cpus   int           // 64 when 0: nobody is in anybody's way
	began  time.Duration // Starting: so long ago
	rtt    time.Duration
	memory Room
	gpus   []Room
	full   bool
	broken bool // its breaker is open
	tried  bool
	slow   float64
	far    bool // not in the snapshot: it drains, say
}

// A scene is what a table test puts before Place.
type scene struct {
	snapshot Snapshot
	f        *Function
	r        Request
	names    map[*Host]string
}

func picture(rows []row) scene {
	f := &Function{Seed: 7, Start: time.Second}
	for range knownRuns {
		f.Ran(&Host{}, time.Second)
	}
	f.Times.cpu = mean{value: 1, count: 1}
	sc := scene{f: f, r: Request{Waiting: 1}, names: map[*Host]string{}}
	for i, r := range rows {
		h := hostOf(r, uint64(i)+1)
		sc.names[h] = r.name
		if !r.far {
			sc.snapshot.Hosts = append(sc.snapshot.Hosts, h)
		}
		if r.tried {
			sc.r.Tried = append(sc.r.Tried, h)
		}
		if r.has != Cold || r.found != Absent {
			f.Add(&Site{Host: h, State: r.has, Present: r.found, Load: r.load, Slots: or(r.slots, 4), Began: testNow.Add(-r.began)})
		}
	}
	return sc
}

func hostOf(r row, seed uint64) *Host {
	h := &Host{Seed: seed << 32, CPUs: or(r.cpus, 64), RTT: or(r.rtt, time.Millisecond), Load: r.load + r.other,
		Full: r.full, Memory: r.memory, GPUs: r.gpus}
	if r.has == Starting {
		h.Starting = 1
	}
	if r.broken {
		for range failuresInRow {
			h.Breaker.Failed(testNow)
		}
	}
	h.slow.factor = r.slow
	return h
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// place asks as the balancer does: after a start it asks again, with that start on its way.
func (sc scene) place() string {
	var said []string
	for range 100 {
		d := Place(sc.snapshot, sc.f, sc.r, testNow)
		switch d.Verdict {
		case Run:
			said = append(said, "run "+sc.names[d.Site.Host])
		case Wait:
			said = append(said, "wait")
		case NoRoom:
			said = append(said, "no room")
		case NoHost:
			said = append(said, "no host")
		}
		if !d.Until.IsZero() {
			said[len(said)-1] += fmt.Sprint(" ", d.Until.Sub(testNow).Round(10*time.Millisecond))
		}
		if d.Start == nil {
			return strings.Join(said, ", ")
		}
		said[len(said)-1] = "start " + sc.names[d.Start]
		sc.begin(d.Start)
	}
	return "no end of starts"
}

func (sc scene) begin(h *Host) {
	h.Starting++
	s := sc.f.At(h)
	if s == nil {
		s = &Site{Host: h, Slots: 4}
		sc.f.Add(s)
	}
	s.State, s.Began = Starting, testNow
}

func TestPlace(t *testing.T) {
	room := func(free, idle int64) Room {
		return Room{Known: true, Total: 8 << 30, Free: free << 20, Idle: idle << 20}
	}
	waiting := func(n int) func(*scene) { return func(sc *scene) { sc.r.Waiting = n } }
	waited := func(d time.Duration) func(*scene) { return func(sc *scene) { sc.r.Waited = d } }
	runs := func(each time.Duration) func(*scene) {
		return func(sc *scene) {
			for range 200 {
				sc.f.Ran(&Host{}, each)
			}
		}
	}
	both := func(do ...func(*scene)) func(*scene) {
		return func(sc *scene) {
			for _, d := range do {
				d(sc)
			}
		}
	}
	memory := func(sc *scene) { sc.f.Need.Memory = 1 << 30 }
	onGPU := func(gb int64) func(*scene) {
		return func(sc *scene) { sc.f.Need.GPUs, sc.f.Need.GPUMemory = 1, gb<<30 }
	}
	// A start costs 1.5 s more than a run at a warm place: a quarter of that is 375 ms.
	tests := []struct {
		name string
		rows []row
		do   func(*scene)
		want string
	}{
		{name: "nobody", want: "no host"},

		{name: "cold", rows: []row{{name: "a"}}, want: "start a, wait"},
		{name: "cold, the idle one", rows: []row{{name: "a", other: 200}, {name: "b"}, {name: "c", other: 100}}, want: "start b, wait 5.58s"},
		{name: "cold, where it was before", rows: []row{{name: "a"}, {name: "b", found: Prepared}, {name: "c"}}, want: "start b, wait 4.14s"},
		{name: "cold, where its code is", rows: []row{{name: "a", rtt: 300 * time.Millisecond}, {name: "b", found: HasCode}}, want: "start b, wait 4.68s"},
		{name: "cold, the near one", rows: []row{{name: "a", rtt: time.Second}, {name: "b"}}, want: "start b, wait 5.58s"},

		{name: "a run goes where it is warm", rows: []row{{name: "a"}, {name: "b", has: Ready}, {name: "c"}}, want: "run b"},
		{name: "though others are idle", rows: []row{{name: "a"}, {name: "b", has: Ready, load: 3, other: 20}}, want: "run b"},
		{name: "not to a start", rows: []row{{name: "a", has: Starting}, {name: "b", has: Ready, load: 3}}, want: "run b"},
		{name: "to the less busy", rows: []row{{name: "a", has: Ready, load: 3}, {name: "b", has: Ready}}, want: "run b"},
		{name: "to the nearer", rows: []row{{name: "a", has: Ready, rtt: time.Second}, {name: "b", has: Ready}}, want: "run b"},
		{name: "so crowded that a start elsewhere is better", rows: []row{{name: "a", has: Ready, other: 8, cpus: 1}, {name: "b"}}, want: "start b, wait 100ms"},
		{name: "so slow that a start elsewhere is better", rows: []row{{name: "a", has: Ready, slow: 8}, {name: "b"}}, want: "start b, wait 100ms"},
		{name: "so crowded that runs to come would gain by a start", rows: []row{{name: "a", has: Ready, other: 6, cpus: 5}, {name: "b"}}, want: "start b, run a"},
		{name: "not for runs so short", rows: []row{{name: "a", has: Ready, other: 50, cpus: 1}, {name: "b"}}, do: runs(10 * time.Millisecond), want: "run a"},
		{name: "crowded, but so are the others", rows: []row{{name: "a", has: Ready, other: 8, cpus: 1}, {name: "b", other: 8, cpus: 1}}, want: "run a"},

		{name: "busy: wait a quarter of what a start costs more", rows: []row{{name: "a", has: Ready, load: 4}, {name: "b"}}, want: "wait 380ms"},
		{name: "busy: less where it was before", rows: []row{{name: "a", has: Ready, load: 4}, {name: "b", found: Prepared}}, want: "wait 260ms"},
		{name: "busy: part of it is over", rows: []row{{name: "a", has: Ready, load: 4}, {name: "b"}}, do: waited(300 * time.Millisecond), want: "wait 80ms"},
		{name: "busy: then widen", rows: []row{{name: "a", has: Ready, load: 4}, {name: "b"}, {name: "c"}}, do: waited(400 * time.Millisecond), want: "start b, wait 5.58s"},
		{name: "busy, and the queue is long: widen at once", rows: []row{{name: "a", has: Ready, load: 4}, {name: "b"}}, do: waiting(10), want: "start b, wait"},
		{name: "busy, but short runs clear the queue", rows: []row{{name: "a", has: Ready, load: 4}, {name: "b"}}, do: both(runs(50*time.Millisecond), waiting(10)), want: "wait 380ms"},
		{name: "busy, one start is on its way", rows: []row{{name: "a", has: Ready, load: 4}, {name: "b", has: Starting}, {name: "c"}}, do: waited(time.Second), want: "wait 5.58s"},
		{name: "busy, nobody else", rows: []row{{name: "a", has: Ready, load: 9}}, want: "wait"},
		{name: "busy, the others are broken", rows: []row{{name: "a", has: Ready, load: 9}, {name: "b", broken: true}}, want: "wait 1.06s"},

		{name: "on its way", rows: []row{{name: "a", has: Starting}, {name: "b"}}, want: "wait 5.58s"},
		{name: "on its way, and it is enough", rows: []row{{name: "a", has: Starting}, {name: "b"}}, do: waiting(6), want: "wait 5.58s"},
		{name: "on its way, and more would help", rows: []row{{name: "a", has: Starting}, {name: "b"}, {name: "c"}, {name: "d"}}, do: waiting(15), want: "start b, start d, wait 5.58s"},
		{name: "on its way, but stuck", rows: []row{{name: "a", has: Starting, began: time.Minute}, {name: "b"}}, want: "start b, wait"},
		{name: "on its way, stuck, nobody else", rows: []row{{name: "a", has: Starting, began: time.Hour}}, want: "wait"},

		{name: "on its way, and that start is the probe", rows: []row{{name: "a", has: Starting}}, do: func(sc *scene) {
			b := &sc.snapshot.Hosts[0].Breaker
			fails(b, failuresInRow, after(-time.Minute))
			b.Sent(testNow)
		}, want: "wait 30s"},
		{name: "on its way, but the breaker opened", rows: []row{{name: "a", has: Starting, broken: true}}, want: "wait 1.06s"},

		{name: "not where it drains", rows: []row{{name: "a", has: Ready, far: true}, {name: "b"}}, want: "start b, wait"},
		{name: "not where it was refused", rows: []row{{name: "a", has: Ready, tried: true}, {name: "b"}}, want: "start b, wait"},
		{name: "not where it is full", rows: []row{{name: "a", has: Ready, full: true}, {name: "b", has: Ready, load: 3}}, want: "run b"},
		{name: "nor start there", rows: []row{{name: "a", full: true}, {name: "b", tried: true}}, want: "no room"},
		{name: "full, but it will have room again", rows: []row{{name: "a", has: Ready, full: true}}, want: "wait"},
		{name: "not where the breaker is open", rows: []row{{name: "a", has: Ready, broken: true}, {name: "b"}}, want: "start b, wait 1.06s"},
		{name: "all broken", rows: []row{{name: "a", has: Ready, broken: true}, {name: "b", broken: true}}, want: "no room 1.06s"},
		{name: "all refused", rows: []row{{name: "a", has: Ready, tried: true}, {name: "b", tried: true}}, want: "no room"},

		{name: "room", rows: []row{{name: "a", memory: room(1000, 0)}, {name: "b", memory: room(1024, 0)}}, do: memory, want: "start b, wait"},
		{name: "room of idle ones", rows: []row{{name: "a", memory: room(1000, 0)}, {name: "b", memory: room(1000, 24)}}, do: memory, want: "start b, wait"},
		{name: "better where nobody has to end", rows: []row{{name: "a", memory: room(1000, 1000)}, {name: "b", memory: room(1024, 0)}}, do: memory, want: "start b, wait 5.58s"},
		{name: "no room", rows: []row{{name: "a", memory: room(1000, 0)}}, do: memory, want: "no room"},
		{name: "no room is needed for a warm one", rows: []row{{name: "a", has: Ready, memory: room(0, 0)}}, do: memory, want: "run a"},
		{name: "undeclared memory counts 256 MB", rows: []row{{name: "a", memory: room(255, 0)}, {name: "b", memory: room(256, 0)}}, want: "start b, wait"},
		{name: "undeclared memory fits into any budget", rows: []row{{name: "a", memory: Room{Known: true, Total: 100 << 20, Free: 100 << 20}}}, want: "start a, wait"},
		{name: "a GPU", rows: []row{{name: "a"}, {name: "b", gpus: []Room{room(100, 0), room(4096, 0)}}}, do: onGPU(4), want: "start b, wait"},
		{name: "a whole GPU", rows: []row{{name: "a", gpus: []Room{room(4096, 0)}}, {name: "b", gpus: []Room{room(7900, 0)}}}, do: onGPU(0), want: "start b, wait"},
		{name: "no GPU", rows: []row{{name: "a"}, {name: "b", gpus: []Room{room(100, 0)}}}, do: onGPU(4), want: "no room"},
		{name: "a GPU of which nothing is known", rows: []row{{name: "a", gpus: []Room{{}}}}, do: onGPU(40), want: "start a, wait"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := picture(tt.rows)
			if tt.do != nil {
				tt.do(&sc)
			}
			if got := sc.place(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
