package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitsForGo notes that it runs, and waits until the file go is there. Each container may be a user of its
// own, so all may write the file.
const waitsForGo = `
import os, time
def main(args):
    os.umask(0)
    with open(args["dir"] + "/began", "a") as f:
        f.write(os.environ["__OW_ACTIVATION_ID"] + " " + os.environ.get("__OW_API_KEY", "") + "\n")
    while not os.path.exists(args["dir"] + "/go"):
        time.sleep(0.01)
    return {"whole": args.get("n")}
`

var doesNothing = action{kind: "native", code: "#!/bin/sh\necho '{\"ok\":true}' >&3\nwhile read -r line; do echo '{}' >&3; done\n"}

// began returns how many runs of waitsForGo have begun.
func began(dir string) int {
	data, _ := os.ReadFile(filepath.Join(dir, "began"))
	return strings.Count(string(data), "\n")
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// signalled sends a signal and waits until new calls are refused, with words. The action of these
// calls must be there, and does nothing.
func (s *standalone) signalled(signal os.Signal) {
	s.t.Helper()
	s.cmd.Process.Signal(signal)
	eventually(s.t, "new calls are refused", func() bool {
		status, answer := s.call("POST", restNS+"actions/nothing?blocking=true&timeout=100", `{}`)
		return status == 503 && strings.Contains(string(answer), "about to stop")
	})
}

// A stop answers whoever waits, on this machine's containers and behind the balancer; it takes nothing new, and
// what was accepted and not begun runs after the next start, as it was accepted.
func TestStopServesWhoWaitsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	dir, share, distant := t.TempDir(), shared(t), shared(t) // each function is a user of its own
	s := startStandalone(t, dir, "--share", share, "--share", distant)
	for name, of := range map[string][2]string{"gated": {"main", share}, "far": {"main@local", distant}} {
		s.put(name, action{kind: "python:3", main: of[0], code: waitsForGo,
			parameters: `[{"key":"dir","value":"` + of[1] + `"}]`, annotations: `[{"key":"provide-api-key","value":true}]`})
	}
	s.put("nothing", doesNothing)
	near, far := s.invokeBeside("gated", `{"n":1}`), s.invokeBeside("far", `{"n":2}`)
	eventually(t, "both runs", func() bool { return began(share) == 1 && began(distant) == 1 })
	// Some of these wait for a container: there is memory for 16.
	var accepted struct {
		ActivationID string `json:"activationId"`
	}
	ids := map[string]bool{}
	for range 20 {
		s.ask(202, "POST", restNS+"actions/gated", `{"n":9007199254740993}`, &accepted)
		ids[accepted.ActivationID] = true
	}
	eventually(t, "as many runs as there is memory for", func() bool { return began(share) == 15 })
	s.ask(200, "DELETE", restNS+"actions/gated", "", nil) // what was accepted does not mind
	s.signalled(syscall.SIGTERM)
	touch(t, filepath.Join(share, "go"))
	touch(t, filepath.Join(distant, "go"))
	for _, answer := range []<-chan activation{near, far} {
		if a := <-answer; !a.Response.Success || !strings.Contains(string(a.Response.Result), `"whole"`) {
			t.Errorf("a caller who waited got %s", a.Response.Result)
		}
	}
	s.waitEnded()
	if began(share) != 15 {
		t.Errorf("the stop began %d runs", began(share)-15)
	}
	again := startStandalone(t, dir, "--share", share, "--share", distant)
	for id := range ids {
		a := (&loader{standalone: again}).record(id)
		if got := compact(t, string(a.Response.Result)); got != `{"whole":9007199254740993}` {
			t.Errorf("what was accepted came to %s", got)
		}
	}
	times := map[string]int{}
	data, _ := os.ReadFile(filepath.Join(share, "began"))
	for line := range strings.Lines(string(data)) {
		id, key, _ := strings.Cut(strings.TrimSpace(line), " ")
		if times[id]++; times[id] > 1 {
			t.Errorf("%s ran twice", id)
		}
		if key != again.auth {
			t.Errorf("a run was given the API key %q", key)
		}
	}
	if len(times) != 21 {
		t.Errorf("%d runs, want 21", len(times))
	}
}

// A second signal ends the platform at once; what was accepted has its record after the next start.
func TestASecondSignalEndsThePlatformAtOnce(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			dir, share := t.TempDir(), shared(t)
			s := startStandalone(t, dir, "--share", share)
			s.put("gated", action{kind: "python:3", code: waitsForGo, parameters: `[{"key":"dir","value":"` + share + `"}]`})
			s.put("nothing", doesNothing)
			var promised activation
			s.ask(202, "POST", restNS+"actions/gated?blocking=true&timeout=100", `{}`, &promised)
			waiting := make(chan struct{})
			go func() { // its caller keeps the platform from ending
				defer close(waiting)
				(&loader{standalone: s, client: newLoader().client}).try("POST", restNS+"actions/gated?blocking=true", `{}`)
			}()
			eventually(t, "both runs", func() bool { return began(share) == 2 })
			s.signalled(signal)
			sent := time.Now()
			s.cmd.Process.Signal(signal)
			s.waitEnded()
			<-waiting
			if took := time.Since(sent); took > 5*time.Second {
				t.Errorf("the end took %v", took)
			}
			nothingLeft(t, dir)
			again := startStandalone(t, dir, "--share", share)
			var rec wskActivation
			eventually(t, "the record", func() bool {
				status, b := again.call("GET", restNS+"activations/"+promised.ActivationID, "")
				return status == 200 && json.Unmarshal(b, &rec) == nil
			})
			if rec.Response.Status != "whisk internal error" {
				t.Errorf("the record of a run that was cut: %+v", rec)
			}
		})
	}
}

func (p *process) waitEnded() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("it did not end:\n%s", p.log())
	}
}
