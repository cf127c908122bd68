package invoker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A run is sent again only if it certainly never started, and then once, to a fresh container.
func TestAlwaysTrue1WhatIsRepeatedWithAFakeDriver(t *testing.T) {
	busy := answering(http.StatusServiceUnavailable)
	gone := func(c *fakeContainer) { c.die() }
	leavesAfterInit := func(c *fakeContainer) {
		c.script.init = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			c.listener.Close()
			answering(200)(w, r)
		}
	}
	late := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, c := range []struct {
		name         string
		warm         bool // the first container has served a run before
		containers   []script
		status       int
		starts, runs int // runs: how often /run arrived
		error        string
	}{
		{"all is well", false, nil, store.StatusSuccess, 1, 1, ""},
		{"/init says 503", false, []script{{init: busy}}, store.StatusSuccess, 2, 1, ""},
		{"/init says 503 twice", false, []script{{init: busy}, {init: busy}}, store.StatusWhiskError, 2, 0, "refused by two containers"},
		{"/init says 500", false, []script{{init: answering(500)}}, store.StatusDeveloperError, 1, 0, "failed during initialization"},
		{"/init hangs up", false, []script{{init: hangUp}}, store.StatusDeveloperError, 1, 0, "did not initialize"},
		{"/init takes too long", false, []script{{init: late}}, store.StatusDeveloperError, 1, 0, "during initialization"},
		{"dead before /init", false, []script{{atStart: gone}}, store.StatusSuccess, 2, 1, ""},
		{"/run says 503", false, []script{{run: busy}}, store.StatusSuccess, 2, 2, ""},
		{"/run says 503 twice", false, []script{{run: busy}, {run: busy}}, store.StatusWhiskError, 2, 2, "refused by two containers"},
		{"/run says 503 in a warm one", true, []script{{run: thenFirst(answering(200), busy)}}, store.StatusSuccess, 2, 3, ""},
		{"no connection for /run", false, []script{{atStart: leavesAfterInit}}, store.StatusSuccess, 2, 1, ""},
		{"/run says 500", false, []script{{run: answering(500)}}, store.StatusDeveloperError, 1, 1, ""},
		{"/run hangs up", false, []script{{run: hangUp}}, store.StatusDeveloperError, 1, 1, "did not produce a valid response"},
		{"/run hangs up in a warm one", true, []script{{run: thenFirst(answering(200), hangUp)}}, store.StatusDeveloperError, 1, 2, "did not produce a valid response"},
		{"/run hangs up within the answer", false, []script{{run: halfAnAnswer}}, store.StatusDeveloperError, 1, 1, "did not produce a valid response"},
		{"/run takes too long", false, []script{{run: late}}, store.StatusDeveloperError, 1, 1, "exceeded its time limits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, Config{LogWait: 200 * time.Millisecond})
			g.driver.play(c.containers...)
			short := func(r *bus.Run) { r.Action.Limits.Timeout = 300 }
			if c.warm {
				if got := g.run("a", short); got.Status != store.StatusSuccess {
					t.Fatalf("the run before: %s", got.Result)
				}
			}
			got := g.run("a", short)
			if got.Status != c.status || !strings.Contains(string(got.Result), c.error) {
				t.Errorf("status %d, %s", got.Status, got.Result)
			}
			if starts, _, runs := g.driver.counts(); starts != c.starts || runs != c.runs {
				t.Errorf("%d starts, %d times /run; want %d, %d", starts, runs, c.starts, c.runs)
			}
		})
	}
}

// What was claimed, and refused by a container, cannot be left to the next start any more: its record says that
// the platform was stopped.
func TestAClaimedRunIsNotLeftWithAFakeDriver(t *testing.T) {
	g := newRig(t, Config{Memory: 128})
	asked, queued, held := make(chan struct{}), make(chan struct{}), make(chan struct{})
	began := make(chan struct{})
	g.driver.play(
		script{run: func(w http.ResponseWriter, r *http.Request) {
			close(asked)
			<-queued
			answering(http.StatusServiceUnavailable)(w, r)
		}},
		script{run: func(w http.ResponseWriter, r *http.Request) {
			close(began)
			<-held
			answering(200)(w, r)
		}},
	)
	refused := g.begin("a", func(r *bus.Run) {
		r.Journaled = true
		if err := g.store.Accept(t.Context(), store.Accepted{ID: r.ActivationID, Kind: store.AcceptedRun, Body: []byte("x")}); err != nil {
			t.Error(err)
		}
	})
	<-asked
	other := g.begin("b", nil)
	for end := time.Now().Add(10 * time.Second); g.invoker.Status().Waiting == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the other run does not wait")
		}
	}
	close(queued)
	<-began // in the memory of the first one's container
	g.invoker.Leave()
	select {
	case got := <-refused:
		if got.Status != store.StatusWhiskError || !strings.Contains(string(got.Result), "was stopped") {
			t.Errorf("the refused run: %d %s", got.Status, got.Result)
		}
	case <-time.After(10 * time.Second):
		t.Error("the refused run has no record")
	}
	close(held)
	if got := <-other; got.Status != store.StatusSuccess {
		t.Errorf("the other run: %s", got.Result)
	}
}

// thenFirst answers as first does, and from the second time on as then does.
func thenFirst(first, then http.HandlerFunc) http.HandlerFunc {
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request) {
		does := then
		once.Do(func() { does = first })
		does(w, r)
	}
}

func halfAnAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	io.WriteString(w, `{"half":`)
}

// Two hundred containers at a time: each action has its own, the memory is what it should be, and
// none is left.
func TestTwoHundredContainersWithAFakeDriver(t *testing.T) {
	const n = 200
	var arrived sync.WaitGroup
	arrived.Add(n)
	g := newRig(t, Config{Memory: n * 128})
	all := make(chan struct{})
	g.driver.serve = func(w http.ResponseWriter, r *http.Request) {
		arrived.Done()
		<-all
		answering(200)(w, r)
	}
	var answers []<-chan *bus.Completed
	for i := range n {
		answers = append(answers, g.begin(fmt.Sprint("a", i), nil))
	}
	more := g.begin("more", nil)
	arrived.Wait()
	if s := g.invoker.Status(); s.Used != n*128 || s.Containers.Busy != n || s.Running != n || s.Waiting != 1 {
		t.Errorf("%+v", s)
	}
	arrived.Add(1)
	close(all)
	for i, answer := range append(answers, more) {
		if got := <-answer; got.Status != store.StatusSuccess {
			t.Errorf("run %d: %s", i, got.Result)
		}
	}
	s := g.invoker.Status()
	if s.Used > n*128 || s.Waiting != 0 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
	if g.driver.alive() > n {
		t.Errorf("%d containers are alive", g.driver.alive())
	}
}

// A container may die at any moment; the next run finds another.
func TestContainersThatDieWithAFakeDriver(t *testing.T) {
	g := newRig(t, Config{LogWait: 200 * time.Millisecond, PauseAfter: time.Millisecond})
	newest := func() *fakeContainer {
		g.driver.mu.Lock()
		defer g.driver.mu.Unlock()
		return g.driver.all[len(g.driver.all)-1]
	}
	good := func(when string) {
		t.Helper()
		if got := g.run("a", nil); got.Status != store.StatusSuccess {
			t.Errorf("%s: %s", when, got.Result)
		}
	}
	good("at first")
	newest().die()
	good("after one died idle")
	for end := time.Now().Add(10 * time.Second); g.invoker.Status().Containers.Paused == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not paused")
		}
	}
	newest().die()
	good("after one died paused")
	g.driver.mu.Lock()
	g.driver.serve = func(http.ResponseWriter, *http.Request) { newest().die() }
	g.driver.mu.Unlock()
	if got := g.run("b", nil); got.Status != store.StatusDeveloperError {
		t.Errorf("one that died busy: %d %s", got.Status, got.Result)
	}
	g.driver.mu.Lock()
	g.driver.serve = nil
	g.driver.mu.Unlock()
	good("after one died busy")
}

// A limit of hours reaches the function as it is.
func TestTimeLimitOfHoursWithAFakeDriver(t *testing.T) {
	g := newRig(t, Config{})
	deadlines := make(chan int64, 2)
	note := func(body []byte) {
		var v struct {
			Deadline string
			Value    struct{ Env map[string]string }
		}
		json.Unmarshal(body, &v)
		if v.Deadline == "" {
			v.Deadline = v.Value.Env["__OW_DEADLINE"]
		}
		ms, _ := strconv.ParseInt(v.Deadline, 10, 64)
		deadlines <- ms
	}
	g.driver.play(script{atStart: func(c *fakeContainer) {
		c.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var b bytes.Buffer
			b.ReadFrom(r.Body)
			note(b.Bytes())
			c.ServeHTTP(w, r)
		})
	}})
	const hours = 24
	if got := g.run("a", func(r *bus.Run) { r.Action.Limits.Timeout = hours * 3600 * 1000 }); got.Status != store.StatusSuccess {
		t.Fatalf("%s", got.Result)
	}
	for range 2 {
		left := time.Until(time.UnixMilli(<-deadlines))
		if left < hours*time.Hour-time.Minute || left > hours*time.Hour {
			t.Errorf("the function is told that %v are left", left)
		}
	}
}
