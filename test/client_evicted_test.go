package test

import (
	"fmt"
	"syscall"
	"testing"
)

// Two functions have room for one: each run of one may end the other's worker,
// also while runs of that wait. Nobody notices.
func TestAlwaysTrue5FunctionsThatEvictEachOther(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1, "--memory", "300m")
		var clients []*client
		var ends []func()
		for i := range 2 {
			c := s.client(fmt.Sprint("f", i), many+"&memory=200m")
			clients = append(clients, c)
			ends = append(ends, c.callers(8, `{"sleep":0.001}`))
		}
		for range rounds(1, 100) {
			for _, c := range clients {
				c.progress(20)
			}
		}
		for i, end := range ends {
			end()
			for _, a := range clients[i].failures() {
				t.Errorf("it waits for room: %v", a)
			}
		}
		if n := len(s.notes("starts")); n < 3 {
			t.Errorf("nobody was evicted: %d starts", n)
		}
		t.Logf("%d runs, %d starts", len(s.notes("ran")), len(s.notes("starts")))
		s.audit(clients...)
	})
}

// The function goes between runs, since another client's lease was the last: the
// next runs of a client whose lease was lost start it again, once for all.
func TestAlwaysTrue5FunctionThatWentIsStartedOnce(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1, "--lease-grace", "1ms")
		var clients []*client
		for range 4 { // all of one function
			clients = append(clients, s.client("f", many, "WHISKAWAY_LEASE=2s"))
		}
		for i := range rounds(2, 50) {
			for _, c := range clients {
				must(t, c.signal(syscall.SIGSTOP))
			}
			eventually(t, "the function goes", func() bool { return len(s.functionDirs()) == 0 })
			var endings []func() []answered
			for _, c := range clients {
				must(t, c.signal(syscall.SIGCONT))
				endings = append(endings, c.atOnce(4, `{}`, 0))
			}
			for _, ended := range endings {
				for _, a := range ended() {
					if !a.ok(t) {
						t.Errorf("after the function went: %v", a)
					}
				}
			}
			if n := len(s.notes("starts")); n != i+2 {
				t.Errorf("%d starts after %d ends", n, i+1)
			}
		}
		s.audit(clients...)
	})
}
