package test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// stillLost is what share of the calls may still be lost when the flapping server has been set
// aside: it is tried again now and then. If it were not, that would be a sixth.
const stillLost = 0.03

// flapEvery is how often the connections of the flapping server are cut.
const flapEvery = time.Second

// One of two servers joins by a line that is cut every second. It is set aside after a
// while: nearly all calls succeed then, as fast as if the other server were alone.
func TestFlappingServerIsSetAside(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, 1)
	c := s.client("f", "&concurrency=4&workers=2") // 8 places at each server, so 12 callers want both
	c.mustRun()
	alone := c.during(12, 3*time.Second)

	line := startCutProxy(t, s.address)
	flapping := s.startServerVia(line)
	stopFlapping := flap(line)
	defer stopFlapping()
	first := c.during(12, time.Duration(rounds(6, 60))*time.Second)
	later := c.during(12, time.Duration(rounds(10, 60))*time.Second)
	for name, p := range map[string]period{"the other server alone": alone, "with the flapping one": first, "a while later": later} {
		t.Logf("%s: %v", name, p)
	}
	if share := float64(later.failed) / float64(later.calls); share > stillLost {
		t.Errorf("%.1f%% of the calls still fail", 100*share)
	}
	if later.goodput() < alone.goodput()/2 {
		t.Errorf("goodput is %.0f/s, and was %.0f/s with the other server alone", later.goodput(), alone.goodput())
	}
	stopFlapping()
	eventually(t, "the server stays when its line does", func() bool { return len(s.status().Servers) == 2 })
	c.mustRun()
	flapping.stop()
	s.audit(c)
}

// startServerVia starts a further server that joins through the proxy.
func (s *stage) startServerVia(p *cutProxy) *process {
	s.t.Helper()
	dir := s.t.TempDir()
	s.dirs = append(s.dirs, dir)
	server := start(s.t, nil, nil, append([]string{"server", "--data", dir, "--name", fmt.Sprint("box-", len(s.servers)),
		"--balancer", s.via(p), "--token", readToken(s.t, s.home, "join")}, s.args...)...)
	server.waitFor("joined")
	return server
}

// flap cuts all connections again and again until the returned func is called.
func flap(p *cutProxy) (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(flapEvery)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				p.each((*passage).cut)
			}
		}
	}()
	return sync.OnceFunc(func() { close(over); <-done })
}

// A period is how the calls of some time ended.
type period struct {
	calls, failed int
	long          time.Duration
	took          []time.Duration // of those that succeeded
}

// during keeps some callers busy for a while.
func (c *client) during(callers int, long time.Duration) period {
	c.t.Helper()
	from := len(c.endings)
	begin := time.Now()
	end := c.callers(callers, `{"sleep":0.3}`)
	time.Sleep(long)
	end()
	p := period{long: time.Since(begin)}
	for _, a := range c.endings[from:] {
		p.calls++
		if a.status == 200 {
			p.took = append(p.took, a.took)
		} else {
			p.failed++
		}
	}
	return p
}

func (p period) goodput() float64 { return float64(len(p.took)) / p.long.Seconds() }

func (p period) String() string {
	return fmt.Sprintf("%d calls, %d of them failed, %.0f/s, median %v, p99 %v", p.calls, p.failed, p.goodput(), quantile(p.took, 0.5), quantile(p.took, 0.99))
}

// quantile is the qth of all, by the nearest rank.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(100 * time.Microsecond)
}
