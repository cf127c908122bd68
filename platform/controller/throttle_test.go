package controller

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

func TestAMinuteCountsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight
		var m minute
		for want := 1; want <= 3; want++ {
			if got := m.count("a", time.Now()); got != want {
				t.Errorf("count %d: %d", want, got)
			}
			time.Sleep(10 * time.Second)
		}
		if got := m.count("b", time.Now()); got != 1 {
			t.Errorf("another namespace: %d", got)
		}
		time.Sleep(29999 * time.Millisecond)
		if got := m.count("a", time.Now()); got != 4 {
			t.Errorf("in the last millisecond of the minute: %d", got)
		}
		time.Sleep(time.Millisecond)
		if got := m.count("a", time.Now()); got != 1 || len(m.counts) != 1 {
			t.Errorf("in the next minute: %d, %v", got, m.counts)
		}
	})
}

func TestAMinutesRefusalIsOpenWhisks(t *testing.T) {
	var m minute
	now := time.Unix(0, 0)
	for i := 1; i <= 62; i++ {
		err := tooMany(&m, "a", 60, now)
		switch {
		case i <= 60 && err != nil:
			t.Fatalf("the %dth: %v", i, err)
		case i > 60 && (err == nil || err.Error() != fmt.Sprintf("Too many requests in the last minute (count: %d, allowed: 60).", i)):
			t.Fatalf("the %dth: %v", i, err)
		}
	}
	if err := tooMany(&m, "b", 0, now); err == nil {
		t.Error("0 allows one")
	}
	if err := tooMany(&m, "b", Unlimited, now); err != nil {
		t.Error(err)
	}
}

// What is under way is counted exactly, also when many begin at once.
func TestFlightsHoldUnderLoad(t *testing.T) {
	var f flights
	now := time.Now()
	var began, all sync.WaitGroup
	accepted := make(chan string, 1000)
	began.Add(1)
	for i := range 1000 {
		all.Go(func() {
			began.Wait()
			id := fmt.Sprint(i)
			if _, ok := f.begin(id, "a", 10, now, now.Add(time.Hour)); ok {
				accepted <- id
			}
		})
	}
	began.Done()
	all.Wait()
	close(accepted)
	if len(accepted) != 10 {
		t.Fatalf("%d were let through, 10 are allowed", len(accepted))
	}
	if n, ok := f.room("a", 10, now); ok || n != 10 {
		t.Errorf("room for more than 10: %d", n)
	}
	if n, ok := f.begin("part", "a", Unlimited, now, now.Add(time.Hour)); !ok || n != 10 {
		t.Errorf("a part of a composition: %d, %v", n, ok)
	}
	f.end("part")
	for id := range accepted {
		f.end(id)
		f.end(id) // nothing is counted twice
	}
	for range 2 { // one that is there already takes no second place
		if _, ok := f.begin("twice", "a", 1, now, now.Add(time.Hour)); !ok {
			t.Error("it was refused for itself")
		}
	}
	f.end("twice")
	if _, ok := f.room("a", 1, now); !ok || len(f.of) != 0 || len(f.namespaces) != 0 {
		t.Errorf("something is left: %v", f.of)
	}
	if _, ok := f.begin("none", "a", 0, now, now); ok {
		t.Error("0 allows one")
	}
}

// An activation of whose end nobody hears does not count for ever.
func TestFlightsThatAreOverdueAreGivenUp(t *testing.T) {
	var f flights
	now := time.Now()
	f.begin("lost", "a", 1, now, now.Add(time.Minute))
	if _, ok := f.room("a", 1, now.Add(59*time.Second)); ok {
		t.Error("given up too early")
	}
	if _, ok := f.begin("next", "a", 1, now.Add(61*time.Second), now.Add(time.Hour)); !ok {
		t.Error("not given up")
	}
}

func TestNamespacesLimitsStayWithinThePlatforms(t *testing.T) {
	n := func(i int) *int { return &i }
	l := DefaultLimits()
	l.PerMinute = 100
	a := l.with(store.NamespaceLimits{
		InvocationsPerMinute: n(0), ConcurrentInvocations: n(Unlimited),
		MaxActionMemory: n(1 << 20), MaxActionTimeout: n(1000), MaxActionLogs: n(5), MaxActionConcurrency: n(0),
	})
	if a.PerMinute != 0 || a.Concurrent != Unlimited || a.FiresPerMinute != Unlimited || !a.StoreActivations {
		t.Errorf("counts: %+v", a)
	}
	if a.Memory != l.Memory || a.Timeout != (Range{100, 1000, 1000}) || a.Logs != (Range{0, 5, 5}) || a.Concurrency != (Range{1, 1, 1}) {
		t.Errorf("ranges: %+v", a)
	}
	if l.with(store.NamespaceLimits{}).PerMinute != 100 {
		t.Error("what everybody has was lost")
	}
}
