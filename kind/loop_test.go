package kind_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// A loop is a process that speaks the plain ActionLoop.
type loop struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// startLoop starts a function's process, and ends it with the test.
func startLoop(t *testing.T, c kind.Command) loop {
	t.Helper()
	out, childOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.ExtraFiles = append(c.Env, "__OW_WAIT_FOR_ACK=1"), c.Dir, []*os.File{childOut}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	childOut.Close()
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
		out.Close()
	})
	l := loop{t, in, bufio.NewReader(out)}
	if ack := l.line(); ack != `{"ok":true}` {
		t.Fatalf("the ack is %q", ack)
	}
	return l
}

func (l loop) line() string {
	l.t.Helper()
	line, err := l.out.ReadString('\n')
	if err != nil {
		l.t.Fatalf("it ended after %q: %v", line, err)
	}
	return line[:len(line)-1]
}

// run answers one run's body.
func (l loop) run(body string) string {
	l.t.Helper()
	if _, err := io.WriteString(l.in, body+"\n"); err != nil {
		l.t.Fatal(err)
	}
	return l.line()
}

func textFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// prepareIn prepares a function whose environments are in envs.
func prepareIn(t *testing.T, set *kind.Set, envs string, src kind.Source, log func(string)) kind.Command {
	t.Helper()
	src.EnvsDir = envs
	cmd, err := set.Prepare(t.Context(), src, log)
	if err != nil {
		t.Fatal(err, "\n", function.AsError(err).Logs)
	}
	if cmd.EnvDir == "" || !slices.Contains(cmd.Readable, cmd.EnvDir) {
		t.Errorf("the command does not name its environment: %+v", cmd)
	}
	return cmd
}

// newEnvs returns a directory for environments, which can be removed after the test.
func newEnvs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", dir).Run() })
	return filepath.Join(dir, "envs")
}
