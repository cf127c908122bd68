package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gatedRun is a function that says that it has begun, and ends when it may.
const gatedRun = `
import os, time
def main(args):
    open(args["begun"], "w").close()
    while not os.path.exists(args["go"]):
        time.sleep(0.01)
    return {"whole": True}
`

// A drainStage is a balancer with a server, and a client with a run under way.
type drainStage struct {
	balancer *process
	client   *container
	gate     string   // the run ends when this file is there
	status   chan int // how it ended
}

func newDrainStage(t *testing.T, args ...string) *drainStage {
	dir, share := t.TempDir(), shared(t)
	s := &drainStage{gate: filepath.Join(share, "go"), status: make(chan int, 1)}
	s.balancer = start(t, nil, nil, append([]string{"balancer", "--listen", "127.0.0.1:0", "--data", dir}, args...)...)
	url := s.balancer.waitFor(`balancer listening on (\S+)`)
	server := start(t, nil, nil, "server", "--balancer", url, "--token", readToken(t, dir, "join"), "--label", "box", "--share", share, "--data", t.TempDir())
	server.waitFor("joined")
	s.client = startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+readToken(t, dir, "client"))
	if status, body := s.client.post("/init", initBody("main@box", gatedRun, nil)); status != http.StatusOK {
		t.Fatalf("init: %d %s", status, body)
	}
	begun := filepath.Join(share, "begun")
	go func() {
		status, _ := s.client.post("/run", runBody(`{"begun":"`+begun+`","go":"`+s.gate+`"}`, "one", time.Now().Add(time.Minute)))
		s.status <- status
	}()
	eventually(t, "the run begins", func() bool { _, err := os.Stat(begun); return err == nil })
	return s
}

// A balancer that is told to stop lets the runs under way end, and takes nothing new meanwhile.
func TestBalancerThatStopsLetsItsRunsEnd(t *testing.T) {
	s := newDrainStage(t)
	s.balancer.Cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "a new run is refused", func() bool {
		status, body := s.client.post("/run", runBody(`{}`, "two", time.Now().Add(time.Second)))
		return status != http.StatusOK && strings.Contains(body, "about to end")
	})
	if err := os.WriteFile(s.gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status := <-s.status; status != http.StatusOK {
		t.Errorf("the run that was under way ended with %d", status)
	}
	s.balancer.stop()
}

func TestBalancerEndsAtOnceAtASecondSignal(t *testing.T) {
	s := newDrainStage(t, "--drain-timeout", "10m")
	s.balancer.Cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "a new run is refused", func() bool {
		_, body := s.client.post("/run", runBody(`{}`, "two", time.Now().Add(time.Second)))
		return strings.Contains(body, "about to end")
	})
	s.balancer.stop() // the second
	if status := <-s.status; status != http.StatusBadGateway {
		t.Errorf("the run that was cut ended with %d", status)
	}
}
