package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/test/harness"
)

// patience is how long a test waits for an event before it fails.
const patience = harness.Patience

// A process is one running whiskaway.
type process struct {
	*harness.Process
	t     *testing.T
	cmd   *exec.Cmd
	ended <-chan struct{}
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
	return wrap(t, harness.Start(t, slices.Concat(before, []string{binary}, args), env, files...))
}

func wrap(t *testing.T, p *harness.Process) *process {
	return &process{Process: p, t: t, cmd: p.Cmd, ended: p.Ended}
}

func cleanEnv(t *testing.T) []string { return harness.CleanEnv(t) }

func (p *process) lines() []string { return p.Stdout.Lines() }

func (p *process) log() string { return p.Stderr.String() }

// waitFor returns the first group of pattern in a line that the process prints.
func (p *process) waitFor(pattern string) string {
	p.t.Helper()
	return p.WaitFor(pattern)
}

// stop ends the process as an operator would, and waits.
func (p *process) stop() { p.Stop() }

// kill ends the process as the out-of-memory killer would, and waits.
func (p *process) kill() { p.Kill() }

// eventually waits until ok returns true; what says what was waited for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	harness.Eventually(t, what, ok)
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
