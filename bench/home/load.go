package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A shape is a kind of run.
type shape int

const (
	small shape = iota
	large
	logs
	slow
	shapes // how many there are
)

// others is how many callers of the mixed load do not send small runs.
const others = 4

// shapeOf is what the nth caller of a mix asks.
func shapeOf(mix string, n int) shape {
	switch {
	case mix == "slow":
		return slow
	case mix == "small" || n >= others:
		return small
	case n%2 == 0:
		return large
	}
	return logs
}

// body is what a run of that shape sends, and gets back.
func (s shape) body() []byte {
	text := `{"value":{"name":"stranger"},"activation_id":"0123456789abcdef0123456789abcdef"`
	switch s {
	case large:
		text += `,"blob":"` + string(bytes.Repeat([]byte("x"), 1<<20)) + `"`
	case logs:
		text = string(wantsLogs) + `true`
	case slow:
		text = string(wantsTime) + `true`
	}
	return []byte(text + "}")
}

// A loaded is what the balancer's end saw in the window.
type loaded struct {
	Runs     [shapes]int
	P50, P99 [shapes]time.Duration
	Failed   int
	Why      string // the first failure
	Resent   int    // TCP segments that the balancer's end has sent again
}

// A tally collects what callers see.
type tally struct {
	begin, end time.Time

	mu     sync.Mutex
	times  [shapes][]time.Duration
	failed int
	why    string
}

// load asks until the window is over. The lines "begin" and "end" on stdout say when it
// is, for who measures CPU.
func (e end) load(ctx context.Context, ask asker) loaded {
	t := &tally{begin: time.Now().Add(e.warmup)}
	t.end = t.begin.Add(e.window)
	ctx, cancel := context.WithDeadline(ctx, t.end)
	defer cancel()
	var callers sync.WaitGroup
	for n := range e.inFlight {
		callers.Go(func() { t.call(ctx, ask, shapeOf(e.mix, n)) })
	}
	time.Sleep(time.Until(t.begin))
	fmt.Println("begin")
	before := resent()
	time.Sleep(time.Until(t.end))
	fmt.Println("end")
	after := resent()
	callers.Wait()
	r := t.result()
	r.Resent = after - before
	return r
}

// resent returns RetransSegs of this network namespace, see RFC 4022; 0 where it is not told.
func resent() int {
	text, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != "Tcp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		if i := slices.Index(names, "RetransSegs"); i >= 0 && i < len(fields) {
			n, _ := strconv.Atoi(fields[i])
			return n
		}
	}
	return 0
}

// call asks again and again. What ends in the window counts.
func (t *tally) call(ctx context.Context, ask asker, s shape) {
	body := s.body()
	for ctx.Err() == nil {
		start := time.Now()
		err := ask(ctx, body)
		now := time.Now()
		if ctx.Err() == nil && now.After(t.begin) {
			t.add(s, now.Sub(start), err)
		}
	}
}

func (t *tally) add(s shape, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if t.failed++; t.why == "" {
			t.why = err.Error()
		}
		return
	}
	t.times[s] = append(t.times[s], took)
}

func (t *tally) result() loaded {
	r := loaded{Failed: t.failed, Why: t.why}
	for s, times := range t.times {
		n := len(times)
		if r.Runs[s] = n; n == 0 {
			continue
		}
		slices.Sort(times)
		r.P50[s], r.P99[s] = times[n/2], times[min(n*99/100, n-1)]
	}
	return r
}
