package test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/test/netns"
)

const (
	chaosLimit = 10 * time.Second // of each call
	// chaosGrace is how much later than its limit a call may end. The parts on the way give each
	// other some seconds to say what became of it.
	chaosGrace = 15 * time.Second
	// recovery is within what time after the last fault goodput is back.
	recovery = 10 * time.Second
)

// Three servers at a cable, at a long line and behind NAT; 32 callers; and what can
// happen to servers happens to all three, at random. Each call ends in time with its
// result or with words that are true, none runs twice, and in the end all is as
// if nothing had been.
func TestAlwaysTrue1And4And7Chaos(t *testing.T) {
	t.Parallel()
	w, b := newWideStage(t)
	all := w.threeServers(b)
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	const spread = "&concurrency=4&workers=2" // 8 places on each server, so 16 callers want more than one
	clients := []*client{w.client("f", spread, shortLease), w.client("g", spread, shortLease)}
	goodputs := tally{clients: clients}
	var ends []func()
	for _, c := range clients {
		ends = append(ends, c.callersWithin(16, `{"sleep":0.1}`, chaosLimit))
		c.progress(50) // the servers that it needs are warm
	}
	before := goodputs.calm(3 * time.Second)
	chaos(all, seed, time.Duration(rounds(12, 120))*time.Second)
	last := time.Now()
	back := goodputs.recovers(t, before/2)
	t.Logf("goodput was %.0f/s before; it was back at half of that %v after the last fault", before, back.Sub(last).Round(time.Millisecond))
	if back.Sub(last) > recovery {
		t.Errorf("goodput was back only after %v", back.Sub(last))
	}
	for _, end := range ends {
		end()
	}
	for _, c := range clients {
		c.inTime(chaosLimit + chaosGrace)
		t.Log(c.sum())
	}
	w.audit(clients...)
	w.nothingIsLeft(all)
}

// shortLease lets the servers let go soon what a client had that is gone.
const shortLease = "WHISKAWAY_LEASE=3s"

func (w *wideStage) threeServers(b *wideBalancer) []*wideServer {
	w.t.Helper()
	home, err := w.net.HostBehindNAT("home")
	if err != nil {
		w.t.Skip(err)
	}
	far := w.longLine("far", netns.Line{Delay: 10 * time.Millisecond, Loss: 0.002})
	var all []*wideServer
	for _, h := range []*netns.Host{on(w.t)(w.net.Host("near")), far, home} {
		all = append(all, w.newServer(h, b))
	}
	return all
}

// chaos lets happen to each server what the seed says, for that long, and returns when all is well
// again for all of them.
func chaos(servers []*wideServer, seed uint64, long time.Duration) {
	var all sync.WaitGroup
	until := time.Now().Add(long)
	for i, s := range servers {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for time.Now().Before(until) {
				time.Sleep(between(random, 200*time.Millisecond, 2*time.Second))
				s.suffer(random)
			}
		})
	}
	all.Wait()
}

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

// suffer is one fault and its end. The longest are taken for a death by the others.
func (s *wideServer) suffer(random *rand.Rand) {
	long := between(random, 100*time.Millisecond, 3*time.Second)
	if slow() && random.IntN(4) == 0 {
		long += 12 * time.Second
	}
	switch random.IntN(3) {
	case 0:
		s.kill()
		time.Sleep(min(long, time.Second))
		s.start()
		s.waitFor("joined")
	case 1:
		s.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(long)
		s.cmd.Process.Signal(syscall.SIGCONT)
	case 2:
		if err := s.host.Cut(); err != nil {
			s.t.Error(err)
		}
		time.Sleep(long)
		if err := s.host.Mend(); err != nil {
			s.t.Error(err)
		}
	}
}

// callersWithin is callers, with a time limit for each run.
func (c *client) callersWithin(n int, args string, limit time.Duration) (end func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					c.run(c.t.Context(), args, limit)
				}
			}
		})
	}
	return func() { close(over); all.Wait() }
}

// inTime checks that each call ended, however, in that time.
func (c *client) inTime(limit time.Duration) {
	c.t.Helper()
	for _, a := range c.endings {
		if a.took > limit {
			c.t.Errorf("it took %v: %v", a.took, a)
		}
	}
}

// sum says how the calls ended.
func (c *client) sum() string {
	var lost, never, other int
	var longest time.Duration
	for _, a := range c.endings {
		longest = max(longest, a.took)
		switch {
		case a.status == 200:
		case a.mayHaveRun():
			lost++
		case a.status == 503 || a.neverRan():
			never++
		default:
			other++
		}
	}
	return fmt.Sprintf("%d calls: %d lost, %d never ran, %d failed otherwise; the longest took %v", len(c.endings), lost, never, other, longest.Round(time.Millisecond))
}

// A tally measures how many calls of all the clients succeed in a second.
type tally struct{ clients []*client }

// tallyEvery is how often it looks.
const tallyEvery = 100 * time.Millisecond

func (y tally) count() (n int) {
	for _, c := range y.clients {
		n += c.succeeded()
	}
	return n
}

// calm measures for a while in which nothing happens.
func (y tally) calm(long time.Duration) float64 {
	begin, before := time.Now(), y.count()
	time.Sleep(long)
	return float64(y.count()-before) / time.Since(begin).Seconds()
}

// recovers waits for the first second with that many, and returns its beginning.
func (y tally) recovers(t *testing.T, want float64) time.Time {
	t.Helper()
	var times []time.Time
	var counts []int
	var found time.Time
	eventually(t, fmt.Sprintf("%.0f calls succeed in a second", want), func() bool {
		times, counts = append(times, time.Now()), append(counts, y.count())
		last := len(times) - 1
		for i := last; i >= 0; i-- {
			long := times[last].Sub(times[i])
			if long < time.Second {
				continue
			}
			if float64(counts[last]-counts[i])/long.Seconds() >= want {
				found = times[i]
				return true
			}
			break
		}
		time.Sleep(tallyEvery)
		return false
	})
	return found
}

// nothingIsLeft checks, after the clients, what is left of all that they had.
func (w *wideStage) nothingIsLeft(servers []*wideServer) {
	w.t.Helper()
	w.nothingRuns()
	for _, s := range servers {
		s.stop()
		nothingLeft(w.t, s.dir)
	}
	for _, dir := range w.functionDirs() {
		w.t.Errorf("%s is left", dir)
	}
}
