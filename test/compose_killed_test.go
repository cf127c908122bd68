package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A composition that got a 202 has a record also when the platform is killed: it says so, and
// does not go on. One whose caller still waited has it when the wait was over before.
func TestAKilledPlatformsCompositionsHaveRecords(t *testing.T) {
	dir, began := t.TempDir(), filepath.Join(shared(t), "began")
	s := startStandalone(t, dir, "--share", filepath.Dir(began))
	s.put("a", step("a"))
	s.put("waits", action{kind: "python:3", timeout: 60000, code: fmt.Sprintf("import os, time\ndef main(a):\n    os.umask(0)\n    with open(%q, 'a') as f:\n        f.write('x')\n    time.sleep(50)\n", began)})
	s.sequence("s", "/_/a", "/_/waits", "/_/a")
	s.put("c", action{kind: "python:3", annotations: isConductor, code: "def main(a):\n    return {'action': 'waits'}\n"})
	accepted := map[string]string{}
	for i, path := range []string{"s", "c?blocking=true&timeout=100"} {
		var answer struct {
			ActivationID string `json:"activationId"`
		}
		s.ask(202, "POST", restNS+"actions/"+path, `{}`, &answer)
		accepted[path[:1]] = answer.ActivationID
		eventually(t, "the part that waits", func() bool {
			b, err := os.ReadFile(began)
			return err == nil && len(b) == i+1
		})
	}
	s.Kill()
	s = startStandalone(t, dir, "--share", filepath.Dir(began))
	for name, id := range accepted {
		r := s.recordOf(id)
		if r.Name != name || r.StatusCode != 3 || !strings.Contains(string(r.Response.Result), "The platform was killed before") || r.note("kind") != `"sequence"` || r.note("topmost") != "true" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if b, err := os.ReadFile(began); err != nil || len(b) != 2 {
		t.Errorf("the parts ran %d times, %v; want 2", len(b), err)
	}
}

// Who waits for a composition gets its end also when the platform is told to stop meanwhile.
func TestAStoppingPlatformFinishesCompositions(t *testing.T) {
	began := filepath.Join(shared(t), "began")
	s := startStandalone(t, t.TempDir(), "--share", filepath.Dir(began))
	s.put("a", step("a"))
	s.put("slow", action{kind: "python:3", code: fmt.Sprintf("import time\ndef main(a):\n    open(%q, 'w').close()\n    time.sleep(0.5)\n    return a\n", began)})
	s.sequence("s", "/_/slow", "/_/a", "/_/a")
	answer := make(chan string, 1)
	go func() {
		status, b := s.call("POST", restNS+"actions/s?blocking=true&result=true", `{}`)
		answer <- fmt.Sprintf("%d %s", status, b)
	}()
	eventually(t, "the first part", func() bool {
		_, err := os.Stat(began)
		return err == nil
	})
	s.stop()
	if got := <-answer; got != `200 {"path":"aa"}` {
		t.Errorf("the answer: %s", got)
	}
}
