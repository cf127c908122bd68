package test

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/test/netns"
	"github.com/whiskaway/whiskaway/wire"
)

// overseas is a line of 80 ms for a round trip that loses 1% of the packets each way.
var overseas = netns.Line{Delay: 40 * time.Millisecond, Loss: 0.01, Seed: 5}

// A server overseas serves 16 callers. What the line costs is printed in round trips.
func TestLongLineThatLosesPackets(t *testing.T) {
	t.Parallel()
	w, b := newWideStage(t)
	far := w.longLine("far", overseas)
	w.newServer(far, b)
	trip := roundTrip(t, w, far)
	c := w.client("f", many)
	c.mustRun()
	alone := c.load(1, rounds(20, 200))
	atOnce := c.load(16, rounds(20, 200))
	for name, all := range map[string][]time.Duration{"one caller": alone, "16 callers": atOnce} {
		t.Logf("%s, %d runs: median %v (%.2f round trips of %v), p99 %v (%.2f)", name, len(all), quantile(all, 0.5),
			ratio(quantile(all, 0.5), trip), trip, quantile(all, 0.99), ratio(quantile(all, 0.99), trip))
	}
	for _, a := range c.endings {
		if !a.ok(t) {
			t.Errorf("over the long line: %v", a)
		}
	}
	// The quickest tells how many round trips there are: what is slow is the machine or a lost packet.
	if quickest := slices.Min(alone); quickest >= 2*trip {
		t.Errorf("a warm run took %v at least, which is more than one round trip of %v", quickest, trip)
	}
	w.codeCrosses(t, rounds(1<<20, 10<<20))
	t.Logf("the line lost %d packets", far.Lost())
	w.audit(c)
}

// roundTrip measures the line: the quickest of some bytes there and back.
func roundTrip(t *testing.T, w *wideStage, far *netns.Host) time.Duration {
	t.Helper()
	l, err := far.Listen("tcp", far.IP+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			io.Copy(c, c)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := w.dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return quickestEcho(t, c)
}

func quickestEcho(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	quickest := patience
	for range 10 {
		begin := time.Now()
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		quickest = min(quickest, time.Since(begin))
	}
	return quickest
}

// codeCrosses hands over size bytes of code to a server that does not have them.
func (w *wideStage) codeCrosses(t *testing.T, size int) {
	t.Helper()
	code := noisyZip(t, size)
	spec := specOf("python:3", string(code), func(s *function.Spec) { s.Action, s.Binary = "large", true })
	c, err := wire.NewClient(w.clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	lease := function.Lease{ID: function.NewLeaseID(), TTL: time.Minute}
	begin := time.Now()
	id, err := function.InitWithCode(t.Context(), c, spec, lease, func() (io.ReadCloser, error) { return fileOf(code), nil })
	if err != nil {
		t.Fatalf("code of %d bytes: %v", size, err)
	}
	took := time.Since(begin)
	t.Logf("code of %d bytes, and the function's start: %v, %.0f kB/s", size, took, float64(size)/1e3/took.Seconds())
	if err := c.Stop(t.Context(), id, function.Claim{Lease: lease.ID}); err != nil {
		t.Error(err)
	}
}

// foundOut is within what time a dead peer must be found: 10 s, and half of that for a slow machine.
const foundOut = 15 * time.Second

// The line to a server is cut, and nothing tells anybody. Both sides find out, what
// ran there is lost and said so, and when the line is back so is the server.
func TestAlwaysTrue1And7SilentLineIsFoundOut(t *testing.T) {
	t.Parallel()
	w, b := newWideStage(t)
	far := w.longLine("far", overseas)
	s := w.newServer(far, b)
	c := w.client("f", many)
	c.mustRun()
	ended := c.atOnce(4, `{"wait":"never"}`, 0)
	w.started(1 + 4)

	begin := time.Now()
	must(t, far.Cut)
	var atBalancer, atServer time.Duration
	eventually(t, "both sides find out", func() bool {
		if atBalancer == 0 && !w.has(s) {
			atBalancer = time.Since(begin)
		}
		if atServer == 0 && strings.Contains(s.log(), "the connection to the balancer is lost") {
			atServer = time.Since(begin)
		}
		return atBalancer > 0 && atServer > 0
	})
	t.Logf("the balancer found out after %v, the server after %v", atBalancer, atServer)
	if later := max(atBalancer, atServer); later > foundOut {
		t.Errorf("one side found out only after %v", later)
	}
	for _, a := range ended() {
		if !a.mayHaveRun() {
			t.Errorf("the line was cut during it: %v", a)
		}
		t.Logf("a run that was under way ended after %v: %s", a.ended.Sub(begin), a.body)
	}
	waiting := c.atOnce(2, `{}`, 0)
	must(t, far.Mend)
	begin = time.Now()
	eventually(t, "the server is back", func() bool { return w.has(s) })
	t.Logf("it was back after %v", time.Since(begin))
	for _, a := range waiting() {
		if !a.ok(t) {
			t.Errorf("it waited for the server: %v", a)
		}
	}
	c.mustRun()
	eventually(t, "the function notices that its callers are gone", func() bool { return len(w.notes("cut")) == 4 })
	if n := len(w.notes("starts")); n != 1 {
		t.Errorf("the function was started %d times", n)
	}
	w.audit(c)
}

// load runs n times by each of some callers, and returns how long each run took.
func (c *client) load(callers, n int) []time.Duration {
	c.t.Helper()
	before := len(c.endings)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range n {
				c.run(context.Background(), `{}`, 0)
			}
		})
	}
	all.Wait()
	var took []time.Duration
	for _, a := range c.endings[before:] {
		took = append(took, a.took)
	}
	return took
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
