package placement

import (
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	little := Room{Known: true, Total: 8 << 30, Free: 1 << 20}
	sc := picture([]row{
		{name: "tried", tried: true, broken: true},
		{name: "broken", broken: true, full: true},
		{name: "full", full: true, has: Starting},
		{name: "starting", has: Starting, memory: little},
		{name: "busy", has: Ready, load: 4, memory: little},
		{name: "no memory", memory: little},
		{name: "no GPU"},
		{name: "small GPU", gpus: []Room{little}},
		{name: "warm", has: Ready, memory: little},
		{name: "cold", gpus: []Room{{}}},
	})
	sc.f.Need.GPUs = 1
	quiet := &Host{}
	quiet.Heard(after(-time.Minute))
	sc.snapshot.Hosts = append(sc.snapshot.Hosts, quiet)
	got := Explain(sc.snapshot, sc.f, sc.r, testNow)
	if got.RetryAt.IsZero() {
		t.Error("it does not say when a broken one is tried again")
	}
	got.RetryAt = time.Time{}
	want := Reasons{Hosts: 11, Tried: 1, Broken: 1, Quiet: 1, Full: 1, Starting: 1, Busy: 1, NoMemory: 1, NoGPU: 2}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Usable() != 2 {
		t.Errorf("%d usable, want the warm one and the cold one", got.Usable())
	}
}
