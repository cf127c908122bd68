package test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A run is cut at the platform's deadline; the function notices, and the worker
// takes the next one.
func TestClientsRunsEndAtTheirTimeLimit(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", many)
		n := rounds(1, 30)
		for i := range n {
			for _, a := range c.atOnce(16, `{"wait":"never"}`, time.Second)() {
				if a.status != 502 || !a.neverRan() && !strings.Contains(a.body, "The action was ended at its time limit; it had ") {
					t.Errorf("after its limit: %v", a)
				}
			}
			eventually(t, "the function notices", func() bool { return len(s.notes("cut")) == len(s.notes("ran"))-i && len(s.notes("cut")) > 0 })
			eventually(t, "nothing runs", func() bool { return s.running() == 0 })
			c.mustRun()
		}
		if n := len(s.notes("starts")); n != 1 {
			t.Errorf("the function was started %d times", n)
		}
		s.audit(c)
	})
}

// The time in a queue counts: a run that waits behind a long one ends at its
// own limit, and never starts.
func TestAlwaysTrue7ClientsRunsThatWaitEndAtTheirTimeLimit(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", "&workers=1")
		c.mustRun()
		long := c.atOnce(1, `{"wait":"go"}`, 0)
		s.started(2)
		for _, a := range c.atOnce(15, `{}`, time.Second)() {
			if a.status != 502 || !a.neverRan() {
				t.Errorf("it waited in a queue: %v", a)
			}
		}
		s.let("go")
		if a := long()[0]; !a.ok(t) {
			t.Error(a)
		}
		c.mustRun()
		if n := len(s.notes("ran")); n != 3 {
			t.Errorf("%d runs started, want 3", n)
		}
		s.audit(c)
	})
}

// never begins n runs that do not end by themselves, for a platform that hangs up when hangUp is called.
func (c *client) never(n int) (ended func(), hangUp context.CancelFunc) {
	ctx, hangUp := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	for range n {
		runs.Go(func() { c.run(ctx, `{"wait":"never"}`, 0) })
	}
	return runs.Wait, hangUp
}

// When the platform hangs up, its runs are cancelled: the function notices, and
// its worker is free again; those that wait never start.
func TestAlwaysTrue7PlatformThatHangsUpCancelsItsRuns(t *testing.T) {
	for needs, running := range map[string]int{many: 16, "&workers=1": 1} {
		t.Run(needs, func(t *testing.T) {
			onBothStages(t, func(t *testing.T, direct bool) {
				s := newStage(t, direct, 1)
				c := s.client("f", needs)
				for round := range rounds(1, 30) {
					begun := round * (running + 1)
					held, hangUp := c.never(running)
					s.started(begun + running)
					waiting, hangUpFirst := c.never(16 - running)
					eventually(t, "the others wait", func() bool { return s.running() == 16 })
					hangUpFirst() // else one of those whose turn comes may start before its own caller's leaving is known
					waiting()
					eventually(t, "nobody waits", func() bool { return s.running() == running })
					hangUp()
					held()
					eventually(t, "the function notices", func() bool { return len(s.notes("cut")) >= (round+1)*running })
					eventually(t, "nothing runs", func() bool { return s.running() == 0 })
					c.mustRun()
					if n := len(s.notes("ran")); n != begun+running+1 {
						t.Errorf("%d runs started, want %d", n, begun+running+1)
					}
				}
				s.audit(c)
			})
		})
	}
}

// A runtime that was started anew is empty: what it says to /run is no 503 and
// makes OpenWhisk discard the container.
func TestEmptyRuntimeRefusesRuns(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, 1)
	c := s.client("f", many)
	c.mustRun()
	c.kill()
	again := s.newClient()
	for _, a := range again.atOnce(16, `{}`, 0)() {
		if a.status != 502 || !strings.Contains(a.body, "Cannot run an action before it is initialized.") {
			t.Error(a)
		}
	}
	s.audit(again)
	if n := len(s.notes("ran")); n != 1 {
		t.Errorf("%d runs started", n)
	}
}

// A draining server: only a client that has answered before says 503, and only
// to runs that never start; /init never does.
func TestAlwaysTrue1ClientsOfADrainingServer(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, 1, "--drain-timeout", "1m")
	warm, fresh, late := s.client("f", many), s.client("f", many), s.newClient()
	warm.mustRun()
	before := len(s.notes("ran"))
	long := warm.atOnce(16, `{"wait":"go"}`, 0)
	s.started(before + 16)
	s.servers[0].cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "the server drains", func() bool { return s.status().Servers[0].Draining })
	for _, a := range warm.atOnce(16, `{}`, 0)() {
		if a.status != http.StatusServiceUnavailable || !a.neverRan() {
			t.Errorf("warm: %v", a)
		}
	}
	for _, a := range fresh.atOnce(16, `{}`, 0)() {
		if a.status != http.StatusBadGateway || !a.neverRan() {
			t.Errorf("fresh: %v", a)
		}
	}
	if status, body := late.init("f", many); status != http.StatusBadGateway || !strings.Contains(body, "could not be started") {
		t.Errorf("/init: %d %s", status, body)
	}
	s.let("go")
	for _, a := range long() {
		if !a.ok(t) {
			t.Errorf("it ran already: %v", a)
		}
	}
	if n := len(s.notes("ran")); n != before+16 {
		t.Errorf("%d runs started, want %d", n, before+16)
	}
	s.audit(warm, fresh)
}

// A host that is too busy to run in time says so at once: the platform is told to
// try elsewhere, and what it was told so about never runs.
func TestAlwaysTrue1And7ClientsOfABusyServer(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", "&workers=1")
		for range 5 { // the server learns how long they take
			if a := c.run(t.Context(), `{"sleep":0.5}`, 0); !a.ok(t) {
				t.Fatal(a)
			}
		}
		told := 0
		for range rounds(1, 20) {
			for _, a := range c.atOnce(16, `{"sleep":0.5}`, 2*time.Second)() {
				switch {
				case a.status == http.StatusServiceUnavailable:
					told++
				case !a.ok(t) && a.status != http.StatusBadGateway:
					t.Errorf("it could not run in time: %v", a)
				}
			}
		}
		if told == 0 {
			t.Error("nobody was told to try elsewhere")
		}
		s.audit(c)
	})
}
