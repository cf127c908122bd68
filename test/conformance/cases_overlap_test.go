package conformance

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// overlaps are runs that arrive while others are under way.
func overlaps() []testCase {
	announced := []string{"__OW_ALLOW_CONCURRENT=true"}
	return []testCase{
		{name: "parallel runs, announced", on: fresh, env: announced, do: func(t *testing.T, c *container) { parallel(t, c, "") }},
		{name: "parallel runs, not announced", on: fresh, do: func(t *testing.T, c *container) { parallel(t, c, "") }},
		{name: "parallel runs in one process", on: fresh, env: announced, do: func(t *testing.T, c *container) { parallel(t, c, "?concurrency=8&workers=1") }},
	}
}

// parallel asks from many sides at once. Each gets the answer to its own
// question, with its own variables; the guard lines are as many as the runs; no
// log line is lost.
func parallel(t *testing.T, c *container, needs string) {
	const callers, each = 8, 8
	c.mustInit(t, c.lang.all, fields{"main": "main" + c.m.target + needs})
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d/%d", caller, i)
				a := c.post(t, "/run", c.runBody(fields{"do": "answer", "id": id}, fields{"activation_id": "a" + id}))
				if want := `{"activation":"a` + id + `","id":"` + id + `"}`; a.status != 200 || canonical(t, a.body) != want {
					t.Errorf("asked %s, answered %v", id, a)
				}
			}
		})
	}
	wg.Wait()
	c.skipGuards(t, callers*each)
	logs := c.Stdout.String()
	for caller := range callers {
		for i := range each {
			line := fmt.Sprintf("log of %d/%d\n", caller, i)
			if n := strings.Count(logs, line); n != 1 {
				t.Errorf("%q is %d times in the logs", line, n)
			}
		}
	}
}
