package test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// pauses are between a fault and what mends it: none, and one that others notice.
func pause() { time.Sleep(rand.N(200 * time.Millisecond)) }

// A server killed under load, and started again: runs under way are lost and
// said so, all others wait and succeed.
func TestAlwaysTrue1And6ServerKilledUnderClients(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", many)
		end := c.callers(16, `{"sleep":0.01}`)
		n := rounds(2, 100)
		for range n {
			c.progress(40)
			s.servers[0].kill()
			pause()
			s.startServer(0)
		}
		c.progress(40)
		end()
		c.wantLost(2 * 16 * n)
		if got := len(s.notes("starts")); got > 1+n {
			t.Errorf("the function was started %d times after %d restarts", got, n)
		}
		s.audit(c)
	})
}

// A server that is told to stop, and started again: it ends its runs, and no
// run is lost that its balancer has.
func TestAlwaysTrue1And6ServerStoppedUnderClients(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", many)
		c.mustRun()
		end := c.callers(16, `{"sleep":0.01}`)
		n := rounds(2, 100)
		for range n {
			c.progress(40)
			s.servers[0].stop()
			pause()
			s.startServer(0)
		}
		c.progress(40)
		end()
		for _, a := range c.failures() {
			// Without a balancer the platform is told to try elsewhere; and a run may
			// be sent into a connection that the server is just closing.
			if !direct || a.status != 503 && !a.mayHaveRun() {
				t.Errorf("while the server was stopped: %v", a)
			}
		}
		t.Logf("%d runs, %d of them failed", len(c.endings), len(c.failures()))
		s.audit(c)
	})
}

// One of two servers is killed or stopped under load: the other one goes on.
func TestAlwaysTrue1And6OneOfTwoServersGoes(t *testing.T) {
	for name, kill := range map[string]bool{"killed": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, false, 2)
			c := s.client("f", "&concurrency=4&workers=2")
			end := c.callers(16, `{"sleep":0.01}`)
			n := rounds(2, 100)
			for i := range n {
				c.progress(60)
				if kill {
					s.servers[i%2].kill()
				} else {
					s.servers[i%2].stop()
				}
				c.progress(40) // the other one has them
				s.startServer(i % 2)
			}
			end()
			if kill {
				c.wantLost(2 * 16 * n)
			} else {
				c.wantLost(0)
			}
			s.audit(c)
		})
	}
}

// A server is killed between runs: the next one starts the function again, and
// nobody notices.
func TestAlwaysTrue6ServerKilledBetweenRuns(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1)
		c := s.client("f", many)
		for i := range rounds(2, 100) {
			c.mustRun()
			s.servers[0].kill()
			if i%2 == 0 {
				s.startServer(0)
			}
			ended := c.atOnce(16, `{}`, 0)
			if i%2 == 1 {
				pause()
				s.startServer(0)
			}
			for _, a := range ended() {
				if !a.ok(t) {
					t.Errorf("after the restart: %v", a)
				}
			}
		}
		s.audit(c)
	})
}

// The balancer is killed, or stopped, and started again under load: clients need
// no restart, servers join again, and the function stays warm.
func TestAlwaysTrue1And6BalancerRestartsUnderClients(t *testing.T) {
	for name, kill := range map[string]bool{"killed": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, false, 2)
			c := s.client("f", many)
			end := c.callers(16, `{"sleep":0.01}`)
			n := rounds(2, 100)
			for range n {
				c.progress(40)
				if kill {
					s.balancer.kill()
				} else {
					s.balancer.stop()
				}
				pause()
				s.startBalancer()
			}
			c.progress(40)
			end()
			c.wantLost(2 * 16 * n)
			if got := len(s.notes("starts")); got > 2*(1+n) {
				t.Errorf("the function was started %d times on two servers after %d restarts", got, n)
			}
			s.audit(c)
		})
	}
}

// The balancer is killed between runs.
func TestAlwaysTrue6BalancerKilledBetweenRuns(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, 1)
	c := s.client("f", many)
	for i := range rounds(2, 100) {
		c.mustRun()
		starts := len(s.notes("starts"))
		s.balancer.kill()
		if i%2 == 0 {
			s.startBalancer()
		}
		ended := c.atOnce(16, `{}`, 0)
		if i%2 == 1 {
			pause()
			s.startBalancer()
		}
		for _, a := range ended() {
			if !a.ok(t) {
				t.Errorf("after the restart: %v", a)
			}
		}
		if got := len(s.notes("starts")) - starts; got > 1 {
			t.Errorf("the function was started %d more times", got)
		}
	}
	s.audit(c)
}
