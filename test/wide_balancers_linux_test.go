package test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Two balancers have the same two servers, and share nothing. Each sees by the servers'
// reports what the other one does; together they start a function once each at most
// on a server; and one's end is not the other's.
func TestAlwaysTrue6And8TwoBalancersForTheSameServers(t *testing.T) {
	t.Parallel()
	w, first := newWideStage(t)
	second := w.newBalancer("second")
	for _, name := range []string{"one", "two"} {
		w.newServer(on(t)(w.net.Host(name)), first, second)
	}
	mine, others := w.client("f", many, through(first)...), w.client("f", many, through(second)...)

	ended := mine.atOnce(8, `{"wait":"seen"}`, 0)
	w.started(8)
	for _, b := range []*wideBalancer{first, second} {
		eventually(t, "each balancer is told of all runs", func() bool { return w.at(b).running() == 8 })
	}
	w.let("seen")
	for _, a := range ended() {
		if !a.ok(t) {
			t.Error(a)
		}
	}

	endMine, endOthers := mine.callers(8, `{"sleep":0.02}`), others.callers(8, `{"sleep":0.02}`)
	for range rounds(2, 30) {
		mine.progress(40)
		others.progress(40)
		first.kill()
		others.progress(40) // unmoved
		first.start()
		mine.progress(40)
	}
	endMine()
	endOthers()
	others.wantLost(0)
	mine.wantLost(2 * 8 * rounds(2, 30))
	if n := len(w.notes("starts")); n > 2*2 {
		t.Errorf("it was started %d times by two balancers on two servers", n)
	}
	w.audit(mine, others)
}

// at is the stage as another balancer's clients see it.
func (w *wideStage) at(b *wideBalancer) *stage {
	return &stage{t: w.t, secure: true, address: b.address, home: b.home, dial: w.dial}
}

// The balancer is killed and comes back while runs are under way on its servers and
// others wait for a place. Neither servers nor clients are touched.
func TestAlwaysTrue1And6BalancerKilledWithQueuedRuns(t *testing.T) {
	t.Parallel()
	w, b := newWideStage(t)
	for _, name := range []string{"one", "two"} {
		w.newServer(on(t)(w.net.Host(name)), b)
	}
	c := w.client("f", "&concurrency=2&workers=1") // four places
	c.mustRun()
	end := c.callers(16, `{"sleep":0.05}`)
	c.progress(40)
	goodputs := tally{clients: []*client{c}}
	before := goodputs.calm(2 * time.Second)
	for range rounds(3, 40) {
		b.kill()
		time.Sleep(rand.N(time.Second))
		b.start()
		back := time.Now()
		t.Logf("goodput of %.0f/s was back at half of that %v after the balancer", before, goodputs.recovers(t, before/2).Sub(back).Round(time.Millisecond))
	}
	end()
	c.wantLost(2 * 16 * rounds(3, 40))
	w.audit(c)
	w.nothingRuns()
}
