package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for an event before it fails. It is no
// measure of speed: machines that run tests are slow at times.
const patience = 60 * time.Second

// A process is one running whiskaway.
type process struct {
	t   *testing.T
	cmd *exec.Cmd

	mu     sync.Mutex
	out    []string
	more   chan struct{} // closed and renewed at each line
	stderr bytes.Buffer
	ended  chan struct{}
}

// start runs whiskaway with args, env, and files from descriptor 3 on. The
// test's end stops it.
func start(t *testing.T, env []string, files []*os.File, args ...string) *process {
	t.Helper()
	return startBehind(t, nil, env, files, args...)
}

// startBehind is start, with a command before it that becomes whiskaway, such as setpriv.
func startBehind(t *testing.T, before, env []string, files []*os.File, args ...string) *process {
	t.Helper()
	line := slices.Concat(before, []string{binary}, args)
	p := &process{t: t, cmd: exec.Command(line[0], line[1:]...), more: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Env = append(cleanEnv(t), env...)
	p.cmd.Stderr = writerFunc(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.stderr.Write(b)
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = w
	p.cmd.ExtraFiles = files
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	read := make(chan struct{})
	go func() { defer close(read); p.readLines(r) }()
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.stop()
		<-read
		if t.Failed() {
			t.Logf("whiskaway %s printed:\n%s\nand logged:\n%s", args[0], strings.Join(p.lines(), "\n"), p.log())
		}
	})
	return p
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// cleanEnv is this process's environment without what would configure whiskaway.
func cleanEnv(t *testing.T) []string {
	env := []string{"HOME=" + t.TempDir()}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if name != "HOME" && !strings.HasPrefix(name, "WHISKAWAY_") && !strings.HasPrefix(name, "__OW_") && !strings.HasPrefix(name, "OW_") && !strings.HasPrefix(name, "XDG_") {
			env = append(env, v)
		}
	}
	return env
}

func (p *process) readLines(r io.ReadCloser) {
	defer r.Close()
	for s := bufio.NewScanner(r); s.Scan(); {
		p.mu.Lock()
		p.out = append(p.out, s.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.out...)
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// waitFor returns the first group of pattern in a line that the process prints.
func (p *process) waitFor(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		lines, more := p.out, p.more
		p.mu.Unlock()
		for _, line := range lines {
			if m := re.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		}
		select {
		case <-more:
		case <-p.ended:
			p.t.Fatalf("it ended before it printed %q:\n%s\n%s", pattern, strings.Join(p.lines(), "\n"), p.log())
		case <-timeout:
			p.t.Fatalf("it did not print %q", pattern)
		}
	}
}

// stop ends the process as an operator would, and waits.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%v did not end after SIGTERM", p.cmd.Args)
		p.kill()
	}
}

// kill ends the process as the out-of-memory killer would, and waits.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// eventually waits until ok returns true; what says what was waited for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// processesWith returns those processes, zombies aside, whose command line or
// environment contains text.
func processesWith(text string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if pid != os.Getpid() && len(args) > 0 && (bytes.Contains(args, []byte(text)) || bytes.Contains(env, []byte(text))) {
			found = append(found, fmt.Sprintf("%d %s", pid, bytes.ReplaceAll(args, []byte{0}, []byte(" "))))
		}
	}
	return found
}

// nothingLeft waits until no process mentions text any more.
func nothingLeft(t *testing.T, text string) {
	t.Helper()
	var left []string
	deadline := time.Now().Add(patience)
	for left = processesWith(text); len(left) > 0 && time.Now().Before(deadline); left = processesWith(text) {
		time.Sleep(5 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("still running:\n%s", strings.Join(left, "\n"))
	}
}
