package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// audit ends the clients and checks what must hold for every run whatever
// happened: it ran at most once, it ended once, with its own result or with words
// that fit; and both guard lines came once for each.
func (s *stage) audit(clients ...*client) {
	s.t.Helper()
	ran := map[string]int{}
	for _, c := range clients {
		c.stop()
	}
	for _, id := range s.notes("ran") {
		if ran[id]++; ran[id] == 2 {
			s.t.Errorf("run %s started twice", id)
		}
	}
	for _, c := range clients {
		c.audit(ran)
	}
}

func (c *client) audit(ran map[string]int) {
	c.t.Helper()
	for _, a := range c.endings {
		if why := a.wrong(c.t, ran[a.id], c.gone); why != "" {
			c.t.Errorf("%v: %s", a, why)
		}
	}
	if c.gone {
		return // what it printed last is lost
	}
	out, err := strings.Join(c.lines(), "\n"), c.log()
	if n := strings.Count(out, guard); n != len(c.endings) {
		c.t.Errorf("%d guard lines on stdout for %d runs", n, len(c.endings))
	}
	if n := strings.Count(err, guard); n != len(c.endings) {
		c.t.Errorf("%d guard lines on stderr for %d runs", n, len(c.endings))
	}
	for _, a := range c.endings {
		if line := "ran " + a.id; a.status == 200 && (strings.Count(out, line) != 1 || strings.Count(err, line) != 1) {
			c.t.Errorf("run %s succeeded; its log lines came %d and %d times", a.id, strings.Count(out, line), strings.Count(err, line))
		}
	}
}

// wrong says what is wrong with how a run ended that its function has counted
// ran times.
func (a answered) wrong(t *testing.T, ran int, gone bool) string {
	var told struct{ Error string }
	json.Unmarshal([]byte(a.body), &told)
	switch {
	case a.err != nil && (gone || a.left):
		return ""
	case a.err != nil:
		return "it has no answer"
	case a.status == 200 && (ran != 1 || !a.ok(t)):
		return fmt.Sprintf("a success that ran %d times", ran)
	case a.status != 200 && told.Error == "":
		return "the error has no words"
	case (a.status == 503 || a.neverRan()) && ran != 0:
		return "it is said to have never started, but it ran"
	case a.status != 200 && a.status != 502 && a.status != 503:
		return "no such status"
	}
	return ""
}

// failures are the runs that did not succeed, by what their errors say.
func (c *client) failures() (all []answered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.endings {
		if a.status != 200 {
			all = append(all, a)
		}
	}
	return all
}

// wantLost checks that all failures are of runs that may have started, n at most.
// A process that is killed closes its connections one by one, so a caller whose
// run was lost may lose another one.
func (c *client) wantLost(n int) {
	c.t.Helper()
	failed := c.failures()
	words := map[string]int{}
	for _, a := range failed {
		words[strings.ReplaceAll(a.body, a.id, "")]++
		if !a.mayHaveRun() || a.status != 502 {
			c.t.Errorf("it was neither run nor lost: %v", a)
		}
	}
	c.t.Logf("%d runs, %d lost", len(c.endings), len(failed))
	if len(failed) > n {
		c.t.Errorf("%d runs were lost, more than %d:\n%s", len(failed), n, strings.Join(slices.Sorted(maps.Keys(words)), "\n"))
	}
}
