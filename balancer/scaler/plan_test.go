package scaler

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	old  = noon.Add(-time.Hour)
)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// on is a machine that takes runs and was last needed then.
func on(server string, since time.Time) machineView {
	return machineView{server: server, joined: true, since: since}
}

func with(m machineView, change func(*machineView)) machineView {
	change(&m)
	return m
}

func busy(m *machineView)     { m.busy = true }
func draining(m *machineView) { m.draining = true }
func stopping(m *machineView) { m.stopping = true }
func absent(m *machineView)   { m.joined = false }
func leaving(m *machineView)  { m.draining, m.leaving = true, true }
func ranked(r int) func(*machineView) {
	return func(m *machineView) { m.rank = r }
}

func TestPlan(t *testing.T) {
	full := poolView{known: true, queued: 5, capacity: 2, pressed: ago(10 * time.Second), machines: []machineView{with(on("a", noon), busy)}}
	change := func(p poolView, change func(*poolView)) poolView { change(&p); return p }
	for name, tt := range map[string]struct {
		pool poolView
		want action
	}{
		"nothing waits, nothing is there":           {poolView{known: true}, action{}},
		"the first call for a label":                {poolView{known: true, unfit: 1}, action{verb: start, n: 1}},
		"a thousand first calls":                    {poolView{known: true, unfit: 1000}, action{verb: start, n: 1}},
		"the driver has not said what there is":     {poolView{unfit: 1}, action{}},
		"a call is in flight":                       {poolView{known: true, calling: true, unfit: 1}, action{}},
		"one was asked for":                         {poolView{known: true, asked: 1, unfit: 1}, action{}},
		"one is to join":                            {poolView{known: true, unfit: 1, machines: []machineView{with(on("a", noon), absent)}}, action{}},
		"one is late":                               {poolView{known: true, unfit: 1, machines: []machineView{with(on("a", old), absent)}}, action{verb: giveUp, server: "a"}},
		"one is late, and stopping it failed":       {poolView{known: true, unfit: 1, machines: []machineView{with(on("a", old), func(m *machineView) { m.joined, m.notBefore = false, noon.Add(1) })}}, action{verb: start, n: 1}},
		"one has failed":                            {poolView{known: true, unfit: 1, machines: []machineView{with(on("a", noon), func(m *machineView) { m.joined, m.failed = false, true })}}, action{verb: giveUp, server: "a"}},
		"one is ending":                             {poolView{known: true, unfit: 1, machines: []machineView{with(on("a", old), stopping)}}, action{verb: start, n: 1}},
		"one is there and nobody fits":              {poolView{known: true, unfit: 1, machines: []machineView{on("a", noon)}}, action{}},
		"starts have failed":                        {poolView{known: true, unfit: 1, notBefore: noon.Add(1)}, action{}},
		"starts have failed before":                 {poolView{known: true, unfit: 1, notBefore: noon}, action{verb: start, n: 1}},
		"a drained one is needed":                   {poolView{known: true, unfit: 1, machines: []machineView{with(on("a", old), draining)}}, action{verb: resume, server: "a"}},
		"one that leaves by itself is no help":      {poolView{known: true, unfit: 1, machines: []machineView{with(with(on("a", old), leaving), busy)}}, action{verb: start, n: 1}},
		"runs wait, as many as fill three":          {full, action{verb: start, n: 3}},
		"runs wait, two of three are coming":        {change(full, func(p *poolView) { p.asked = 2 }), action{verb: start, n: 1}},
		"runs wait for a moment only":               {change(full, func(p *poolView) { p.pressed = ago(time.Second) }), action{}},
		"runs wait though a server has nothing":     {change(full, func(p *poolView) { p.spare = true }), action{}},
		"runs wait, and how many fill one?":         {change(full, func(p *poolView) { p.capacity = 0 }), action{}},
		"far more wait than the limit allows for":   {change(full, func(p *poolView) { p.queued = 1000 }), action{verb: start, n: 4}},
		"idle for long":                             {poolView{known: true, machines: []machineView{on("a", old)}}, action{verb: drain, server: "a"}},
		"idle for a while":                          {poolView{known: true, machines: []machineView{on("a", ago(9*time.Minute))}}, action{}},
		"busy for long":                             {poolView{known: true, machines: []machineView{with(on("a", old), busy)}}, action{}},
		"idle while runs wait":                      {poolView{known: true, queued: 1, machines: []machineView{on("a", old)}}, action{}},
		"idle while another one starts":             {poolView{known: true, asked: 1, machines: []machineView{on("a", old)}}, action{}},
		"idle while another one drains":             {poolView{known: true, machines: []machineView{on("a", old), with(with(on("b", old), draining), busy)}}, action{}},
		"the longest idle first":                    {poolView{known: true, machines: []machineView{on("a", ago(11*time.Minute)), on("b", old)}}, action{verb: drain, server: "b"}},
		"the highest rank first":                    {poolView{known: true, machines: []machineView{with(on("s-0", old), ranked(0)), with(on("s-1", ago(11*time.Minute)), ranked(1))}}, action{verb: drain, server: "s-1"}},
		"the highest rank first, though it is busy": {poolView{known: true, machines: []machineView{on("s-0", old), with(with(on("s-1", noon), ranked(1)), busy)}}, action{verb: drain, server: "s-1"}},
		"a late one that cannot be stopped yet":     {poolView{known: true, machines: []machineView{with(on("s-0", old), absent), with(on("s-1", old), ranked(1))}}, action{verb: drain, server: "s-1"}},
		"drained and empty":                         {poolView{known: true, machines: []machineView{with(on("a", old), draining)}}, action{verb: stop, server: "a"}},
		"drained and busy":                          {poolView{known: true, machines: []machineView{with(with(on("a", old), draining), busy)}}, action{}},
		"drained and told to end":                   {poolView{known: true, machines: []machineView{with(with(on("a", old), draining), stopping)}}, action{}},
		"leaves by itself and is empty":             {poolView{known: true, machines: []machineView{with(on("a", old), leaving)}}, action{verb: stop, server: "a"}},
		"drained, and a higher rank is still there": {poolView{known: true, machines: []machineView{with(on("s-0", old), draining), with(with(on("s-1", noon), ranked(1)), busy)}}, action{}},
		"drained, and the higher rank ends":         {poolView{known: true, machines: []machineView{with(on("s-0", old), draining), with(with(on("s-1", noon), ranked(1)), stopping)}}, action{verb: stop, server: "s-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := plan(limits(5, tt.pool), noon)
			var want []action
			if tt.want.verb != "" {
				want = []action{tt.want}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func limits(most int, pools ...poolView) snapshot {
	return snapshot{max: most, idle: 10 * time.Minute, startTimeout: 10 * time.Minute, moment: 3 * time.Second, pools: pools}
}

func TestPlanSharesTheLimitAmongPools(t *testing.T) {
	waits := poolView{known: true, unfit: 1}
	has := func(n int) poolView {
		p := poolView{known: true}
		for i := range n {
			p.machines = append(p.machines, with(on(fmt.Sprint(i), old), busy))
		}
		return p
	}
	if got := plan(limits(3, has(2), waits, waits), noon); len(got) != 1 || got[0].pool != 1 {
		t.Errorf("with room for one of two pools: %+v", got)
	}
	if got := plan(limits(2, has(2), waits, waits), noon); len(got) != 0 {
		t.Errorf("without room: %+v", got)
	}
	ending := has(2)
	ending.machines[0].stopping = true
	if got := plan(limits(2, ending, waits), noon); len(got) != 0 {
		t.Errorf("what is ending costs until it is gone: %+v", got)
	}
	asked := poolView{known: true, asked: 2}
	if got := plan(limits(2, asked, waits), noon); len(got) != 0 {
		t.Errorf("what was asked for counts: %+v", got)
	}
}

// FuzzPlan makes a snapshot of any bytes, and checks what must always hold.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{3, 1, 1, 0, 0, 2, 5, 9, 1, 0, 7, 255, 3, 1})
	f.Add([]byte{5, 0x81, 7, 2, 9, 1, 3, 4, 1, 2, 255, 0x13, 200, 1, 0x27, 90, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func() int {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return int(b)
		}
		s := limits(next() % 8)
		for len(data) > 0 && len(s.pools) < 4 {
			s.pools = append(s.pools, fuzzedPool(next))
		}
		all := plan(s, noon)
		checkPlan(t, s, all)
	})
}

func fuzzedPool(next func() int) poolView {
	bits, p := next(), poolView{known: true}
	p.known, p.calling, p.spare = bits&1 == 0, bits&2 != 0, bits&4 != 0
	p.asked, p.unfit, p.queued, p.capacity = next()%3, next()%5, next()%5, next()%4
	p.pressed, p.notBefore = ago(time.Duration(next())*time.Second), ago(time.Duration(next()-250)*time.Second)
	for i := range next() % 5 {
		bits := next()
		p.machines = append(p.machines, machineView{
			server: fmt.Sprint(i), joined: bits&1 != 0, busy: bits&2 != 0, draining: bits&4 != 0, leaving: bits&12 == 12, stopping: bits&16 != 0, failed: bits&32 != 0,
			rank: next() % 3, since: ago(time.Duration(next()) * 5 * time.Second),
		})
	}
	return p
}

func checkPlan(t *testing.T, s snapshot, all []action) {
	started, seen := 0, map[int]bool{}
	for _, a := range all {
		p := s.pools[a.pool]
		if !p.known || p.calling || seen[a.pool] {
			t.Fatalf("%+v: the pool is not known, is calling, or has an action already", a)
		}
		seen[a.pool] = true
		started += a.n
		var m machineView
		for _, o := range p.machines {
			if o.server == a.server {
				m = o
			}
		}
		switch a.verb {
		case start:
			if a.n < 1 || p.unfit+p.queued == 0 {
				t.Fatalf("%+v: a start of nothing, or for nobody: %+v", a, p)
			}
		case stop:
			if m.busy || !m.draining || m.stopping {
				t.Fatalf("%+v: it is busy, not drained, or told already: %+v", a, m)
			}
		case giveUp:
			if m.joined || m.stopping || !m.failed && noon.Sub(m.since) < s.startTimeout {
				t.Fatalf("%+v: it has joined, is ending or still has time: %+v", a, m)
			}
		case drain:
			if !m.joined || m.draining || p.unfit+p.queued > 0 {
				t.Fatalf("%+v: it is not there, drained already, or runs wait: %+v", a, m)
			}
		case resume:
			if !m.draining || m.leaving || m.stopping {
				t.Fatalf("%+v: it cannot be taken back: %+v", a, m)
			}
		}
		if (a.verb == stop || a.verb == giveUp || a.verb == drain) && !p.last(m) {
			t.Fatalf("%+v: a machine of a higher rank is before it", a)
		}
	}
	if started > 0 && total(s)+started > s.max {
		t.Fatalf("%d are to be started where there are %d of %d", started, total(s), s.max)
	}
}
