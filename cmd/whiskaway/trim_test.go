package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A trimRig is a trimmer whose requests take as long as the test says, and which only
// notes when it trims.
type trimRig struct {
	*trimmer
	requests sync.WaitGroup

	mu      sync.Mutex
	trimmed []time.Duration // since the beginning
}

func inTrimRig(t *testing.T, test func(g *trimRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var g trimRig
		begin := time.Now()
		g.trimmer = newTrimmer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			length, _ := time.ParseDuration(r.URL.Path)
			time.Sleep(length)
		}))
		g.trim = func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.trimmed = append(g.trimmed, time.Since(begin))
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.run(ctx) }()
		test(&g)
		g.requests.Wait()
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// trims returns when it trimmed.
func (g *trimRig) trims() []time.Duration {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.trimmed)
}

// ask makes a request that takes as long as length says.
func (g *trimRig) ask(length string) {
	r, _ := http.NewRequest(http.MethodPost, "/", nil)
	r.URL.Path = length
	g.requests.Go(func() { g.ServeHTTP(nil, r) })
}

func TestMemoryIsGivenBackOnceAfterEachBusyTime(t *testing.T) {
	inTrimRig(t, func(g *trimRig) {
		time.Sleep(time.Hour)
		if len(g.trims()) != 0 {
			t.Error("it trimmed before anything was asked")
		}
		for range 2 {
			g.ask("1ms")
			time.Sleep(time.Hour)
		}
		if len(g.trims()) != 2 {
			t.Errorf("after two requests it trimmed at %v", g.trims())
		}
		for range 100 {
			g.ask("1s")
			time.Sleep(idleBeforeTrim - time.Millisecond)
		}
		if len(g.trims()) != 2 {
			t.Errorf("it trimmed while it was asked things: %v", g.trims())
		}
		time.Sleep(time.Hour)
		if len(g.trims()) != 3 {
			t.Errorf("after the last it trimmed at %v", g.trims())
		}
	})
}

func TestMemoryIsNotGivenBackDuringARequest(t *testing.T) {
	inTrimRig(t, func(g *trimRig) {
		g.ask("10m")
		time.Sleep(10*time.Minute - time.Second)
		if len(g.trims()) != 0 {
			t.Errorf("it trimmed at %v", g.trims())
		}
		time.Sleep(3 * idleBeforeTrim)
		if len(g.trims()) != 1 {
			t.Errorf("it trimmed at %v", g.trims())
		}
	})
}

func BenchmarkTrimmer(b *testing.B) {
	t := newTrimmer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.begun <- struct{}{} // as when it waits for quiet
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			t.ServeHTTP(nil, nil)
		}
	})
}

func BenchmarkTrim(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		garbage := make([][]byte, 20)
		for i := range garbage {
			garbage[i] = make([]byte, 1<<20)
			for j := 0; j < len(garbage[i]); j += 4096 {
				garbage[i][j] = 1
			}
		}
		clear(garbage)
		b.StartTimer()
		trim()
	}
}
