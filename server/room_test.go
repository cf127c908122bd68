package server

import (
	"slices"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/gpu"
)

const mb = 1 << 20

func TestMakeRoom(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	old := now.Add(-time.Minute)
	idle := func(memory int64, value float64, change ...func(*idleWorker)) idleWorker {
		w := idleWorker{Memory: memory, Value: value, Since: old}
		for _, c := range change {
			c(&w)
		}
		return w
	}
	unclaimed := func(w *idleWorker) { w.Unclaimed = true }
	kept := func(w *idleWorker) { w.Kept = true }
	young := func(w *idleWorker) { w.Since = now.Add(-minIdle / 2) }
	on := func(uuid string, bytes int64) func(*idleWorker) {
		return func(w *idleWorker) { w.GPUs, w.GPUMemory = []string{uuid}, bytes }
	}
	small := gpu.Budget{UUID: "small", Total: 24_000 * mb}
	large := gpu.Budget{UUID: "large", Total: 80_000 * mb}
	taken := func(b gpu.Budget, bytes int64, workers int) gpu.Budget {
		b.Taken, b.Workers = bytes, workers
		return b
	}
	both := []gpu.Budget{small, large}
	for name, c := range map[string]struct {
		room room
		need need
		want verdict
	}{
		"room enough":                   {room{Budget: 1000, Taken: 700}, need{Memory: 300}, verdict{Fits: true}},
		"no limit":                      {room{Taken: 700}, need{Memory: 300}, verdict{Fits: true}},
		"all busy":                      {room{Budget: 1000, Taken: 800}, need{Memory: 300}, verdict{}},
		"what ends now is waited for":   {room{Budget: 1000, Taken: 1000, Ending: 300, Idle: []idleWorker{idle(300, 1)}}, need{Memory: 300}, verdict{}},
		"the least valuable goes":       {room{Budget: 1000, Taken: 1000, Idle: []idleWorker{idle(300, 5), idle(300, 1), idle(300, 3)}}, need{Memory: 300}, verdict{Evict: []int{1}}},
		"unclaimed ones go first":       {room{Budget: 1000, Taken: 1000, Idle: []idleWorker{idle(300, 1), idle(300, 9, unclaimed)}}, need{Memory: 300}, verdict{Evict: []int{1}}},
		"kept ones go last":             {room{Budget: 1000, Taken: 1000, Idle: []idleWorker{idle(300, 1, kept), idle(300, 9)}}, need{Memory: 300}, verdict{Evict: []int{1}}},
		"kept ones go when they must":   {room{Budget: 1000, Taken: 1000, Idle: []idleWorker{idle(300, 1, kept), idle(300, 9)}}, need{Memory: 600}, verdict{Evict: []int{1, 0}}},
		"nobody goes in vain":           {room{Budget: 1000, Taken: 1000, Idle: []idleWorker{idle(300, 1)}}, need{Memory: 600}, verdict{}},
		"a small one is spared":         {room{Budget: 1000, Taken: 1000, Idle: []idleWorker{idle(100, 1), idle(600, 2)}}, need{Memory: 600}, verdict{Evict: []int{1}}},
		"the young are left":            {room{Budget: 1000, Taken: 1000, Idle: []idleWorker{idle(300, 1, young)}}, need{Memory: 300}, verdict{Wake: now.Add(minIdle / 2)}},
		"the smaller GPU that fits":     {room{GPUs: both, Back: both}, need{GPUs: 1, GPUMemory: 8000 * mb}, verdict{Fits: true, GPUs: []string{"small"}}},
		"only the larger GPU fits":      {room{GPUs: both, Back: both}, need{GPUs: 1, GPUMemory: 40_000 * mb}, verdict{Fits: true, GPUs: []string{"large"}}},
		"GPU memory that comes back":    {room{GPUs: []gpu.Budget{taken(large, 70_000*mb, 1)}, Back: []gpu.Budget{large}}, need{GPUs: 1, GPUMemory: 40_000 * mb}, verdict{}},
		"evicted for its GPU":           {room{GPUs: []gpu.Budget{taken(large, 70_000*mb, 1)}, Back: []gpu.Budget{taken(large, 70_000*mb, 1)}, Idle: []idleWorker{idle(100, 1), idle(100, 2, on("large", 70_000*mb))}}, need{GPUs: 1, GPUMemory: 40_000 * mb}, verdict{Evict: []int{1}}},
		"a GPU's busy worker is left":   {room{GPUs: []gpu.Budget{taken(large, 70_000*mb, 1)}, Back: []gpu.Budget{taken(large, 70_000*mb, 1)}, Idle: []idleWorker{idle(100, 1)}}, need{GPUs: 1, GPUMemory: 40_000 * mb}, verdict{}},
		"two GPUs when one is not free": {room{GPUs: []gpu.Budget{taken(small, 23_000*mb, 1), large}, Back: []gpu.Budget{taken(small, 23_000*mb, 1), large}}, need{GPUs: 2, GPUMemory: 8000 * mb}, verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := makeRoom(c.room, c.need, now)
			if got.Fits != c.want.Fits || !slices.Equal(got.Evict, c.want.Evict) || !slices.Equal(got.GPUs, c.want.GPUs) || !got.Wake.Equal(c.want.Wake) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Whatever the room, nobody is evicted in vain, none too young, and the budget holds.
func FuzzMakeRoom(f *testing.F) {
	f.Add(int64(1000), int64(300), int64(100), []byte{10, 1, 0, 60, 2, 3})
	f.Add(int64(500), int64(900), int64(0), []byte{200, 0, 1})
	f.Fuzz(func(t *testing.T, budget, needed, ending int64, workers []byte) {
		now := time.Unix(1_000_000, 0)
		r := room{Budget: 1 + abs(budget)%10_000}
		r.Ending = abs(ending) % 1000
		r.Taken = r.Ending
		for i := 0; i+2 < len(workers); i += 3 {
			w := idleWorker{
				Memory: int64(workers[i]) * 10, Value: float64(workers[i+1]),
				Since: now.Add(-time.Duration(workers[i+2]) * 10 * time.Millisecond), Unclaimed: workers[i+1]%3 == 0, Kept: workers[i+1]%5 == 0,
			}
			r.Taken += w.Memory
			r.Idle = append(r.Idle, w)
		}
		n := need{Memory: abs(needed) % 10_000}
		v := makeRoom(r, n, now)
		if v.Fits != (r.Taken+n.Memory <= r.Budget) {
			t.Errorf("%+v, %+v: fits is %v", r, n, v.Fits)
		}
		left := r.Taken - r.Ending
		for _, i := range v.Evict {
			if now.Sub(r.Idle[i].Since) < minIdle {
				t.Errorf("%+v: worker %d is too young", r, i)
			}
			left -= r.Idle[i].Memory
		}
		if len(v.Evict) == 0 {
			return
		}
		if left+n.Memory > r.Budget {
			t.Errorf("%+v, %+v: evicted in vain: %v", r, n, v.Evict)
		}
		for _, i := range v.Evict {
			if left+r.Idle[i].Memory+n.Memory <= r.Budget && r.Idle[i].Memory > 0 {
				t.Errorf("%+v, %+v: worker %d could have stayed: %v", r, n, i, v.Evict)
			}
		}
	})
}

func abs(n int64) int64 { return max(n, -(n + 1)) }

func TestFairOrder(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	got := fairOrder([]request{
		{Namespace: "rich", Held: 900, Since: at(1)},
		{Namespace: "poor", Held: 100, Since: at(9), Workers: 1},
		{Namespace: "poor", Held: 100, Since: at(8)},
		{Namespace: "poor", Held: 100, Since: at(7)},
		{Namespace: "new", Held: 0, Since: at(10)},
		{Namespace: "warm", Held: 0, Since: at(0), Need: need{Spare: true}},
	})
	if want := []int{4, 3, 2, 1, 0, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRelieve(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	idle := func(memory int64, value float64) idleWorker {
		return idleWorker{Memory: memory, Value: value, Since: now.Add(-time.Minute)}
	}
	young := idleWorker{Memory: 300, Since: now}
	for name, c := range map[string]struct {
		room  room
		busy  []busyWorker
		used  int64
		evict []int
		end   int
	}{
		"within the budget":               {room{Budget: 1000, Taken: 1000}, []busyWorker{{500, 600}}, 600, nil, -1},
		"no budget":                       {room{Taken: 5000}, []busyWorker{{500, 5000}}, 5000, nil, -1},
		"idle ones go first":              {room{Budget: 1000, Taken: 1500, Idle: []idleWorker{idle(300, 2), idle(300, 1), idle(300, 3)}}, []busyWorker{{100, 600}}, 1500, []int{1, 0}, -1},
		"only counted, not used":          {room{Budget: 1000, Taken: 1500}, []busyWorker{{500, 100}}, 100, nil, -1},
		"the greediest ends":              {room{Budget: 1000, Taken: 1500}, []busyWorker{{900, 950}, {100, 500}, {50, 50}}, 1500, nil, 1},
		"an idle one will be old enough":  {room{Budget: 1000, Taken: 1500, Idle: []idleWorker{young}}, []busyWorker{{100, 1200}}, 1500, nil, -1},
		"what ends now is waited for":     {room{Budget: 1000, Taken: 1500, Ending: 200}, []busyWorker{{100, 1300}}, 1300, nil, -1},
		"nobody is beyond what it claims": {room{Budget: 1000, Taken: 1500}, []busyWorker{{900, 800}}, 1100, nil, -1},
	} {
		t.Run(name, func(t *testing.T) {
			evict, end := relieve(c.room, c.busy, c.used, now)
			if !slices.Equal(evict, c.evict) || end != c.end {
				t.Errorf("got %v, %d; want %v, %d", evict, end, c.evict, c.end)
			}
		})
	}
}

func TestOutlook(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		outlook outlook
		limit   time.Duration
		wait    time.Duration
		late    bool
	}{
		"nothing is known":             {outlook{Slots: 1, Full: true, Ahead: 50}, time.Second, 0, false},
		"another worker may come":      {outlook{Slots: 1, Ahead: 50, Usual: time.Second}, time.Second, 0, false},
		"a queue that is too long":     {outlook{Slots: 2, Full: true, Ahead: 40, Usual: 100 * ms, Fastest: 50 * ms}, 2 * time.Second, 2 * time.Second, true},
		"a queue that is short enough": {outlook{Slots: 4, Full: true, Ahead: 40, Usual: 100 * ms, Fastest: 50 * ms}, 2 * time.Second, time.Second, false},
		"no time limit":                {outlook{Slots: 1, Full: true, Ahead: 40, Usual: time.Second}, 0, 40 * time.Second, false},
		"a start that takes too long":  {outlook{Start: 20 * time.Second, Fastest: ms}, 10 * time.Second, 20 * time.Second, true},
		"a start that is overdue":      {outlook{Start: -time.Second}, 10 * time.Second, 0, false},
	} {
		if got := c.outlook.wait(); got != c.wait {
			t.Errorf("%s: waits %v, want %v", name, got, c.wait)
		}
		if got := c.outlook.late(c.limit); got != c.late {
			t.Errorf("%s: late is %v", name, got)
		}
	}
}
