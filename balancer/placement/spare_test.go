package placement

import (
	"testing"
	"time"
)

func TestSpare(t *testing.T) {
	long, moment := testNow.Add(-time.Hour), testNow.Add(-time.Second)
	type site struct {
		state State
		load  int
		used  time.Time
	}
	tests := []struct {
		name  string
		sites []site
		start time.Duration
		want  bool
	}{
		{name: "nothing", want: false},
		{name: "the only one stays", sites: []site{{Ready, 0, long}}, want: false},
		{name: "the only ready one stays", sites: []site{{Ready, 0, long}, {Starting, 0, long}}, want: false},
		{name: "unused for long", sites: []site{{Ready, 1, moment}, {Ready, 0, long}}, want: true},
		{name: "used a moment ago", sites: []site{{Ready, 1, moment}, {Ready, 0, moment}}, want: false},
		{name: "in use", sites: []site{{Ready, 1, moment}, {Ready, 1, long}}, want: false},
		{name: "the other is busy", sites: []site{{Ready, 3, moment}, {Ready, 0, long}}, want: false},
		{name: "nobody uses either", sites: []site{{Ready, 0, long}, {Ready, 0, long}}, want: true},
		{name: "what starts slowly is kept longer", sites: []site{{Ready, 1, moment}, {Ready, 0, testNow.Add(-5 * time.Minute)}}, start: time.Minute, want: false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &Function{Seed: 3, Start: tt.start}
			for i, s := range tt.sites {
				h := &Host{Seed: uint64(i) << 32, CPUs: 8, Load: s.load}
				f.Add(&Site{Host: h, State: s.state, Load: s.load, Slots: 4, UsedAt: s.used})
			}
			got := Spare(f, testNow)
			if (got != nil) != tt.want {
				t.Fatalf("got %v, want one: %v", got, tt.want)
			}
			if got != nil && got.Load > 0 {
				t.Error("it is in use")
			}
		})
	}
}

func TestSpareIsTheLastByRank(t *testing.T) {
	f := &Function{Seed: 3}
	for _, h := range equalHosts(8) {
		f.Add(&Site{Host: h, State: Ready, Slots: 4})
	}
	for len(f.Sites) > 1 {
		s := Spare(f, testNow)
		if s == nil {
			t.Fatalf("%d idle sites, and none is spare", len(f.Sites))
		}
		for _, other := range f.Sites {
			if Rank(f, other.Host) < Rank(f, s.Host) {
				t.Fatal("another comes later by rank")
			}
		}
		f.Remove(s.Host)
	}
}

func TestAFreshStartIsNotSpare(t *testing.T) {
	f := &Function{}
	for _, h := range equalHosts(2) {
		f.Add(&Site{Host: h, State: Ready, Slots: 4, Began: testNow.Add(-time.Second)})
	}
	if s := Spare(f, testNow); s != nil {
		t.Error("it was started a second ago")
	}
}

// A site at a host that is set aside is no reason to give up another.
func TestTheLastUsableSiteIsNotSpare(t *testing.T) {
	f := &Function{}
	hosts := equalHosts(2)
	for _, h := range hosts {
		f.Add(&Site{Host: h, State: Ready, Slots: 4})
	}
	fails(&hosts[0].Breaker, failuresInRow, testNow)
	if s := Spare(f, testNow); s != nil {
		t.Error("the only one that can be used is spare")
	}
}
