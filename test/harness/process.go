package harness

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for an event before it fails. It is no
// measure of speed: machines that run tests are slow at times.
const Patience = 60 * time.Second

// A Process is a running program, the binary as a rule.
type Process struct {
	Cmd            *exec.Cmd
	Stdout, Stderr *Output
	// Ended is closed when the process has ended and all that it, and whoever
	// holds its pipes, wrote has been read.
	Ended chan struct{}

	t *testing.T
}

// Start starts the command line with env, and with files from descriptor 3 on.
// The test's end stops it.
func Start(t *testing.T, line, env []string, files ...*os.File) *Process {
	t.Helper()
	p := &Process{t: t, Cmd: exec.Command(line[0], line[1:]...), Stdout: newOutput(), Stderr: newOutput(), Ended: make(chan struct{})}
	p.Cmd.Env = append(CleanEnv(t), env...)
	p.Cmd.ExtraFiles = files
	var readers sync.WaitGroup
	out := p.pipe(&p.Cmd.Stdout, p.Stdout, &readers)
	err := p.pipe(&p.Cmd.Stderr, p.Stderr, &readers)
	failed := p.Cmd.Start()
	out.Close()
	err.Close()
	if failed != nil {
		t.Fatal(failed)
	}
	go func() {
		p.Cmd.Wait()
		readers.Wait()
		close(p.Ended)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s printed:\n%s\nand logged:\n%s", strings.Join(line, " "), tail(p.Stdout), tail(p.Stderr))
		}
	})
	return p
}

// pipe lets to get what the process writes to a stream of its own. The end that
// it returns is the process's.
func (p *Process) pipe(stream *io.Writer, to *Output, readers *sync.WaitGroup) *os.File {
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	*stream = w
	readers.Go(func() {
		defer r.Close()
		io.Copy(to, r)
	})
	return w
}

// tail is the end of what was printed, for a test's log.
func tail(o *Output) string {
	const most = 8 << 10
	data := o.Bytes()
	return string(data[max(0, len(data)-most):])
}

// CleanEnv is this process's environment without what would configure the binary.
func CleanEnv(t *testing.T) []string {
	configures := func(variable string) bool {
		return slices.ContainsFunc([]string{"HOME=", "WHISKAWAY_", "__OW_", "OW_", "XDG_"}, func(prefix string) bool {
			return strings.HasPrefix(variable, prefix)
		})
	}
	return append(slices.DeleteFunc(os.Environ(), configures), "HOME="+t.TempDir())
}

// WaitFor returns the last group of pattern in the first line on stdout that matches.
func (p *Process) WaitFor(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found string
	matches := func([]byte) bool {
		for _, line := range p.Stdout.Lines() {
			if m := re.FindStringSubmatch(line); m != nil {
				found = m[len(m)-1]
				return true
			}
		}
		return false
	}
	if !p.Stdout.Wait(p.Ended, matches) {
		p.t.Fatalf("it did not print %q:\n%s\n%s", pattern, tail(p.Stdout), tail(p.Stderr))
	}
	return found
}

// Stop ends the process as an operator would, and waits.
func (p *Process) Stop() {
	p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(Patience):
		p.t.Errorf("%v did not end after SIGTERM", p.Cmd.Args)
		p.Kill()
	}
}

// Kill ends the process as the out-of-memory killer would, and waits.
func (p *Process) Kill() {
	p.Cmd.Process.Kill()
	<-p.Ended
}

// Eventually waits until ok returns true; what says what was waited for.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	EventuallyWithin(t, Patience, what, ok)
}

// EventuallyWithin is Eventually for what takes longer by its nature, or has a limit of its own.
func EventuallyWithin(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
