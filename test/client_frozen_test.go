package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A freezer stops a process and lets it go on.
type freezer struct{ freeze, thaw func() error }

// freezers are all that this machine has: the signals, and the control groups'.
func freezers(t *testing.T, pid int) map[string]freezer {
	t.Helper()
	signal := func(s syscall.Signal) func() error { return func() error { return syscall.Kill(pid, s) } }
	all := map[string]freezer{"SIGSTOP": {signal(syscall.SIGSTOP), signal(syscall.SIGCONT)}}
	for name, f := range map[string]struct{ root, file, freeze, thaw string }{
		"v1":         {"/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"},
		"v2":         {"/sys/fs/cgroup", "cgroup.freeze", "1", "0"},
		"v2, hybrid": {"/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0"},
	} {
		if dir := freezerGroup(t, f.root, f.file, pid); dir != "" {
			write := func(text string) func() error {
				return func() error { return os.WriteFile(filepath.Join(dir, f.file), []byte(text), 0) }
			}
			t.Cleanup(func() { write(f.thaw)() }) // before it is left
			all[name] = freezer{write(f.freeze), write(f.thaw)}
		}
	}
	return all
}

// freezerGroup makes a control group for the process; "" where there can be none.
func freezerGroup(t *testing.T, root, file string, pid int) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
		return ""
	}
	dir := filepath.Join(root, fmt.Sprintf("whiskaway-freezer-%d-%d", pid, rand.Uint64()))
	if os.Mkdir(dir, 0o755) != nil {
		return ""
	}
	move := func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	}
	_, missing := os.Stat(filepath.Join(dir, file))
	if missing != nil || move(dir) != nil {
		os.Remove(dir)
		return ""
	}
	t.Cleanup(func() { // before the process is stopped
		move(root)
		if err := os.Remove(dir); err != nil {
			t.Errorf("the control group stays: %v", err)
		}
	})
	return dir
}

func must(t *testing.T, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		t.Fatal(err)
	}
}

// A client that was frozen for longer than its lease finds its function gone,
// and starts it again; the runs that come meanwhile wait in its socket.
func TestAlwaysTrue5ClientFrozenForLongerThanItsLease(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1, "--lease-grace", "100ms")
		c := s.client("f", many, "WHISKAWAY_LEASE=1s")
		c.mustRun()
		all := freezers(t, c.cmd.Process.Pid)
		for name, f := range all {
			for range rounds(1, 20) {
				must(t, f.freeze)
				eventually(t, "the function goes", func() bool { return len(s.functionDirs()) == 0 })
				ended := c.atOnce(16, `{}`, 0)
				time.Sleep(rand.N(20 * time.Millisecond)) // they come before it is thawed, or after
				must(t, f.thaw)
				for _, a := range ended() {
					if !a.ok(t) {
						t.Errorf("after %s: %v", name, a)
					}
				}
			}
		}
		if got, want := len(s.notes("starts")), 1+len(all)*rounds(1, 20); got < want {
			t.Errorf("the function was started %d times, not %d", got, want)
		}
		s.audit(c)
	})
}

// Frozen in the middle of runs, for longer than the lease: they end, and their
// answers are there after the thaw.
func TestAlwaysTrue5ClientFrozenDuringRuns(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1, "--lease-grace", "100ms")
		c := s.client("f", many, "WHISKAWAY_LEASE=1s")
		for name, f := range freezers(t, c.cmd.Process.Pid) {
			for round := range rounds(1, 20) {
				before, file := len(s.notes("ran")), fmt.Sprint(name, round)
				ended := c.atOnce(16, fmt.Sprintf(`{"wait":%q}`, file), 0)
				s.started(before + 16)
				must(t, f.freeze)
				time.Sleep(1500 * time.Millisecond) // longer than the lease
				s.let(file)
				eventually(t, "the runs end", func() bool { return s.running() == 0 })
				must(t, f.thaw)
				for _, a := range ended() {
					if !a.ok(t) {
						t.Errorf("%s: %v", name, a)
					}
				}
				c.mustRun()
			}
		}
		s.audit(c)
	})
}

// Frozen and thawed again and again under load, now and then for longer than the lease.
func TestAlwaysTrue5ClientFrozenAgainAndAgain(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newStage(t, direct, 1, "--lease-grace", "100ms")
		c := s.client("f", many, "WHISKAWAY_LEASE=1s")
		end := c.callers(16, `{}`)
		for range rounds(8, 300) {
			must(t, c.signal(syscall.SIGSTOP))
			time.Sleep(rand.N(300 * time.Millisecond))
			must(t, c.signal(syscall.SIGCONT))
			c.progress(rand.N(20))
		}
		end()
		for _, a := range c.failures() {
			t.Errorf("frozen under load: %v", a)
		}
		s.audit(c)
	})
}

// While the client was frozen, something on the way has forgotten its
// connections, without a word. No run is written into one of them.
func TestAlwaysTrue1And5ThawedClientUsesNewConnections(t *testing.T) {
	onBothStages(t, func(t *testing.T, direct bool) {
		s := newProxiedStage(t, direct)
		c := s.client("f", many, "WHISKAWAY_LEASE=3s")
		for range rounds(1, 30) {
			for _, a := range c.atOnce(16, `{"sleep":0.05}`, 0)() { // leaves 16 idle connections
				if !a.ok(t) {
					t.Error(a)
				}
			}
			must(t, c.signal(syscall.SIGSTOP))
			time.Sleep(2 * time.Second) // two beats are missed; the lease lives
			s.front.each((*passage).vanish)
			must(t, c.signal(syscall.SIGCONT))
			for _, a := range c.atOnce(16, `{}`, 5*time.Second)() {
				if !a.ok(t) {
					t.Errorf("after the thaw: %v", a)
				}
			}
		}
		if n := len(s.notes("starts")); n != 1 {
			t.Errorf("the function was started %d times", n)
		}
		s.audit(c)
	})
}

// A function that runs in the container itself stays warm, however long that is frozen.
func TestLocalFunctionStaysWarmWhenFrozen(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, 1)                                             // for its notes
	c := s.newClient("WHISKAWAY_LEASE=1s", "__OW_ALLOW_CONCURRENT=false") // so it has one process
	code := strings.ReplaceAll(counted, "SHARE", s.share)
	if status, body := c.post("/init", initBody("main", code, nil)); status != 200 {
		t.Fatalf("/init: %d %s", status, body)
	}
	for range rounds(1, 20) {
		c.mustRun()
		must(t, c.signal(syscall.SIGSTOP))
		time.Sleep(1500 * time.Millisecond) // longer than the lease
		must(t, c.signal(syscall.SIGCONT))
		for _, a := range c.atOnce(16, `{}`, 0)() {
			if !a.ok(t) {
				t.Errorf("after the thaw: %v", a)
			}
		}
	}
	if n := len(s.notes("starts")); n != 1 {
		t.Errorf("the function was started %d times", n)
	}
	s.audit(c)
}
