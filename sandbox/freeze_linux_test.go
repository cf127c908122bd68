package sandbox_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/sandbox"
)

// restless burns CPU in sessions of its own, also as an orphan, and forks without end.
const restless = `
(setsid sh -c '(setsid sh -c "while :; do :; done" &) ; while :; do :; done' &)
setsid sh -c 'while :; do /bin/true; done' &
while :; do (/bin/true); done`

// A command is one that carries the marker in its environment; shims and the server carry it elsewhere.
type command struct {
	pid     int
	stopped bool // or blocked until another one goes on
	ticks   int  // of CPU time
}

func commandsOf(t *testing.T, marker string) (list []command) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if env, _ := os.ReadFile(dir + "/environ"); !bytes.Contains(env, []byte("MARKER="+marker)) {
			continue
		}
		stat, _ := os.ReadFile(dir + "/stat")
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 13 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
			continue
		}
		c := command{stopped: fields[0][0] == 'T' || fields[0][0] == 'D'}
		c.pid, _ = strconv.Atoi(filepath.Base(dir))
		user, _ := strconv.Atoi(string(fields[11]))
		system, _ := strconv.Atoi(string(fields[12]))
		c.ticks = user + system
		list = append(list, c)
	}
	return list
}

// Nothing that a command has started goes on while it is frozen, wherever it has gone, and
// nothing of it outlives its server, which is killed meanwhile.
func TestFreezeReachesEverything(t *testing.T) {
	exe := publicCopy(t)
	users := map[string]func(*exec.Cmd){"me": func(*exec.Cmd) {}}
	if os.Geteuid() == 0 {
		users["nobody"] = asNobody
	}
	for user, become := range users {
		for _, mode := range []sandbox.Mode{"detected", "full", sandbox.ModeSubreaper} {
			t.Run(user+"/"+string(mode), func(t *testing.T) { freezeServer(t, exe, mode, become) })
		}
	}
}

func freezeServer(t *testing.T, exe string, mode sandbox.Mode, become func(*exec.Cmd)) {
	marker := fmt.Sprintf("marker-%016x", rand.Uint64())
	cmd := exec.Command(exe, "server", marker, string(mode), restless)
	become(cmd)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "spawning\n" {
		t.Fatalf("the server said %q, %v", line, err)
	}
	until(t, "all of the command", func() bool { return len(commandsOf(t, marker)) >= 5 })
	for range 8 {
		thaw, err := sandbox.Freeze(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		before := commandsOf(t, marker)
		if i := slices.IndexFunc(before, func(c command) bool { return !c.stopped }); i >= 0 || len(before) < 4 {
			t.Fatalf("frozen, but not all is stopped: %+v", before)
		}
		time.Sleep(20 * time.Millisecond)
		if after := commandsOf(t, marker); !slices.Equal(before, after) {
			t.Fatalf("frozen, but something went on:\n%+v\n%+v", before, after)
		}
		thaw()
		until(t, "the command going on", func() bool {
			now := commandsOf(t, marker)
			return !slices.ContainsFunc(before, func(c command) bool { return slices.Contains(now, c) })
		})
	}
	if _, err := sandbox.Freeze(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	until(t, "the end of everything", func() bool { return len(living(t, marker)) == 0 })
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// What the function itself has stopped is not woken up.
func TestThawWakesOnlyWhatWasFrozen(t *testing.T) {
	for name, walls := range modes(t) {
		t.Run(name, func(t *testing.T) {
			p := start(t, walls, "/bin/sh", "-c", "sleep 1000 & kill -STOP $!; echo ready; wait")
			if line, err := bufio.NewReader(p.Stdout).ReadString('\n'); strings.TrimSpace(line) != "ready" {
				t.Fatalf("%q, %v", line, err)
			}
			thaw, err := sandbox.Freeze(os.Getpid())
			if err != nil {
				t.Fatal(err)
			}
			thaw()
			p.Kill()
			<-p.Done()
		})
	}
}
