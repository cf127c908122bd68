package sandbox_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/sandbox"
)

func start(t *testing.T, walls sandbox.Walls, path string, args ...string) *sandbox.Process {
	t.Helper()
	p, err := sandbox.Start(sandbox.Config{
		Path: path, Args: args, Dir: "/tmp", Shim: shimOf(""), Walls: walls,
		Env: []string{"PATH=/usr/bin:/bin", "WORD=first", "WORD=last"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func await(t *testing.T, p *sandbox.Process) sandbox.Exit {
	t.Helper()
	select {
	case <-p.Done():
		return p.Exit()
	case <-time.After(20 * time.Second):
		t.Fatal("the process did not end")
		panic("unreachable")
	}
}

func TestExits(t *testing.T) {
	for mode, walls := range modes(t) {
		for _, c := range []struct {
			script string
			want   sandbox.Exit
			words  string
		}{
			{"exit 0", sandbox.Exit{}, "exited with code 0"},
			{"exit 3", sandbox.Exit{Code: 3}, "exited with code 3"},
			{"exit 137", sandbox.Exit{Code: 137}, "exited with code 137"},
			{"kill -9 $$", sandbox.Exit{Signal: syscall.SIGKILL}, "was killed by signal 9 (SIGKILL)"},
			{"kill -SEGV $$", sandbox.Exit{Signal: syscall.SIGSEGV}, "was killed by signal 11 (SIGSEGV)"},
			{"sleep 1000 & (setsid sleep 1000 &) ; exit 4", sandbox.Exit{Code: 4}, "exited with code 4"},
		} {
			t.Run(mode+"/"+c.script, func(t *testing.T) {
				got := await(t, start(t, walls, "/bin/sh", "-c", c.script))
				if got != c.want || got.Words() != c.words {
					t.Errorf("got %+v, %q; want %+v, %q", got, got.Words(), c.want, c.words)
				}
			})
		}
	}
}

func TestMissingCommandIsToldAsExit(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			exit := await(t, start(t, walls, "/does/not/exist"))
			if exit.OK() || !strings.Contains(exit.Words(), "/does/not/exist: no such file") {
				t.Errorf("got %q", exit.Words())
			}
		})
	}
}

func TestPipesDirectoryAndEnvironment(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			p := start(t, walls, "/bin/sh", "-c", `cat; pwd; echo $WORD; echo err >&2; echo three >&3`)
			if _, err := p.Stdin.WriteString("in\n"); err != nil {
				t.Fatal(err)
			}
			p.Stdin.Close()
			for _, c := range []struct {
				from io.Reader
				want string
			}{{p.Stdout, "in\n/tmp\nlast\n"}, {p.Stderr, "err\n"}, {p.Result, "three\n"}} {
				if got, err := io.ReadAll(c.from); err != nil || string(got) != c.want {
					t.Errorf("got %q, %v; want %q", got, err, c.want)
				}
			}
			await(t, p)
		})
	}
}

func TestCommandInheritsNothingElse(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc here")
	}
	leak, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, leak.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno)
	}
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			var out bytes.Buffer
			// ls itself opens one more: the directory.
			err := sandbox.Run(t.Context(), sandbox.Config{Path: "/bin/ls", Args: []string{"/proc/self/fd"}, Dir: "/", Shim: shimOf(""), Walls: walls}, &out)
			if err != nil || out.String() != "0\n1\n2\n3\n4\n" {
				t.Errorf("open file descriptors: %q, %v", out.String(), err)
			}
		})
	}
}

func TestKillEndsWithAllOutputs(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			p := start(t, walls, "/bin/sh", "-c", `(setsid sleep 1000 &); echo up; sleep 1000`)
			if _, err := io.ReadFull(p.Stdout, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			p.Kill()
			p.Kill()
			if exit := await(t, p); exit.Signal != syscall.SIGKILL {
				t.Errorf("exit: %q", exit.Words())
			}
			if rest, err := io.ReadAll(p.Stdout); err != nil || len(rest) > 0 {
				t.Errorf("after the end: %q, %v", rest, err)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			why := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			out := writerFunc(func(p []byte) (int, error) { cancel(why); return len(p), nil })
			err := sandbox.Run(ctx, sandbox.Config{Path: "/bin/sh", Args: []string{"-c", "echo up; sleep 1000"}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"}, Shim: shimOf(""), Walls: walls}, out)
			if !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
		})
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestStartNeedsAShim(t *testing.T) {
	if _, err := sandbox.Start(sandbox.Config{Path: "/bin/true"}); err == nil {
		t.Error("no error without a shim")
	}
	if _, err := sandbox.Start(sandbox.Config{Path: "/bin/true", Shim: []string{"/does/not/exist"}}); err == nil {
		t.Error("no error for a missing shim")
	}
}

// A server without privileges must find a wall too.
func TestDetectAsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become nobody")
	}
	cmd := exec.Command(publicCopy(t), "tell-walls")
	asNobody(cmd)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "namespace") && !strings.Contains(string(out), "subreaper") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestInterruptReachesTheProcessGroup(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			p := start(t, walls, "/bin/sh", "-c", "trap 'echo got it; exit 3' INT; echo ready; while :; do sleep 0.01; done")
			out := bufio.NewReader(p.Stdout)
			if line, err := out.ReadString('\n'); line != "ready\n" {
				t.Fatal(line, err)
			}
			p.Interrupt()
			if line, err := out.ReadString('\n'); line != "got it\n" {
				t.Error(line, err)
			}
			if e := await(t, p); e.Code != 3 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestKillForTellsTheFirstCause(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			p := start(t, walls, "/bin/sleep", "1000")
			p.KillFor("ate too much")
			p.KillFor("something else")
			if e := await(t, p); e.Words() != "ate too much" {
				t.Errorf("%+v", e)
			}
		})
	}
}
