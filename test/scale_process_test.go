package test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The first call for a label starts a server; when nobody needs it any more, it goes.
func TestScaleFromZeroToZeroWithProcesses(t *testing.T) {
	s := newScaled(t, "--scale", "cpu=process:--share SHARE", "--scale-idle", "2s")
	s.goOn()
	for range 2 { // the second time a server is started in the same directory
		if n := len(servers(s.home)); n != 0 {
			t.Fatalf("%d servers before the call", n)
		}
		id, claim := s.mustInit("cpu")
		if err := s.run(id, claim); err != nil {
			t.Fatal(err)
		}
		if n := len(servers(s.home)); n != 1 {
			t.Errorf("%d servers after the call, want 1", n)
		}
		if err := s.client.Stop(t.Context(), id, claim); err != nil {
			t.Fatal(err)
		}
		awaitServers(t, s.home, 0)
	}
	if _, _, err := s.init("gpu"); err == nil || !strings.Contains(err.Error(), "gpu") {
		t.Errorf("a label that nobody scales: %v", err)
	}
	s.balancer.stop()
	nothingLeft(t, s.home)
}

// A server is not stopped while it runs something, however long that takes and though nobody
// holds a lease any more; nor while a client holds one.
func TestAlwaysTrue8ScalerKeepsBusyServers(t *testing.T) {
	s := newScaled(t, "--scale", "cpu=process:--share SHARE", "--scale-idle", "1s")
	id, claim := s.mustInit("cpu")
	before := servers(s.home)
	time.Sleep(4 * time.Second) // several times what an idle server would get
	if now := servers(s.home); len(before) != 1 || !slices.Equal(now, before) {
		t.Fatalf("with a lease: %v, then %v", before, now)
	}
	done := make(chan error, 1)
	go func() { done <- s.run(id, claim) }()
	s.ran(1)
	if err := s.client.Stop(t.Context(), id, claim); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second)
	if now := servers(s.home); !slices.Equal(now, before) {
		t.Errorf("with a run: %v, then %v", before, now)
	}
	s.goOn()
	if err := <-done; err != nil {
		t.Errorf("the run: %v", err)
	}
	awaitServers(t, s.home, 0)
}

// When runs wait at a server for longer than a moment, a further one comes, and no more than allowed.
func TestScaleMoreServersWhileRunsWait(t *testing.T) {
	s := newScaled(t, "--scale", "cpu=process:--share SHARE", "--scale-max", "2")
	s.workers = 1 // of the function, at each server
	id, claim := s.mustInit("cpu")
	ends := make(chan error, 6)
	for range cap(ends) {
		go func() { ends <- s.run(id, claim) }()
	}
	s.ran(1)
	awaitServers(t, s.home, 2)
	s.goOn()
	for range cap(ends) {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(s.balancer.log(), "scaler: starting servers"); n != 2 || len(servers(s.home)) != 2 {
		t.Errorf("%d starts, and these servers: %v", n, servers(s.home))
	}
}

// A balancer that was killed finds its servers again, uses them, and ends them when it ends.
func TestAlwaysTrue6And4ScalerFindsItsServersAgain(t *testing.T) {
	s := newScaled(t, "--scale", "cpu=process:--share SHARE")
	s.goOn()
	s.mustInit("cpu")
	before := servers(s.home)
	for range rounds(2, 50) {
		s.balancer.kill()
		s.start()
		id, claim := s.mustInit("cpu") // waits for the server to come back
		if err := s.run(id, claim); err != nil {
			t.Fatal(err)
		}
		if now := servers(s.home); !slices.Equal(now, before) {
			t.Fatalf("before the balancer was killed: %v, after: %v", before, now)
		}
	}
	s.balancer.stop()
	nothingLeft(t, s.home)
}

// A server that an earlier balancer has started, and that never joins this one, is ended.
func TestAlwaysTrue4ScalerEndsServersThatDoNotJoin(t *testing.T) {
	s := newScaled(t, "--scale", "cpu=process:--share SHARE", "--scale-start-timeout", "5s")
	s.mustInit("cpu")
	s.balancer.kill()
	if n := len(servers(s.home)); n != 1 {
		t.Fatalf("%d servers have survived their balancer, want 1", n)
	}
	s.address = ownLoopback() + ":0" // where the old server does not look for it
	s.start()
	awaitServers(t, s.home, 0)
	s.balancer.stop()
	nothingLeft(t, s.home)
}

// What is wrong with a flag is said at once, and with a server that cannot start, in
// the refusal.
func TestScaleErrors(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--scale gpu", "write LABEL=DRIVER:DETAIL"},
		{"--scale gpu=docker:x", "the drivers are exec, kubernetes and process"},
		{"--scale gpu=exec:/nowhere/gpu.sh", "the script cannot be run"},
		{"--scale gpu=exec", "the path of the script is missing"},
		{"--scale gpu=kubernetes:x", "write namespace/statefulset/name"},
		{"--scale gpu=kubernetes:a/deployment/b", "--scale-kubeconfig"},
		{"--scale gpu=process --scale gpu=process", "twice"},
		{"--scale gpu=process --scale-max 0", "--scale-max must be at least 1"},
		{"--scale gpu=process --scale-idle 1ms", "--scale-idle must be at least"},
		{"--scale a?b=process", "label"},
	} {
		p := start(t, nil, nil, append([]string{"balancer", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, strings.Fields(tt.args)...)...)
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Fatalf("it started with %s", tt.args)
		}
		if p.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(p.log(), tt.want) {
			t.Errorf("%s: exit status %d: %s", tt.args, p.cmd.ProcessState.ExitCode(), p.log())
		}
	}
	s := newScaled(t, "--scale", "cpu=process:--no-such-flag", "--scale-start-timeout", "3s")
	if _, _, err := s.init("cpu"); err == nil || !strings.Contains(err.Error(), "the scaler for cpu") {
		t.Errorf("servers that cannot start: %v", err)
	}
}
