package kind

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// A Tool runs a command to its end and copies what it prints to out. The error
// says in words why it did not exit with code 0. When ctx ends, the command is killed.
// Nothing that it started lives on when the call returns.
//
// The command may write to its Writable directories and nowhere else. A Tool that runs
// commands as another user than us first gives him these directories with all that is in
// them; what is built is taken back afterwards. It needs to reach the package index.
type Tool func(ctx context.Context, cmd Command, out io.Writer) error

// plainTool runs the command as a child of ours, in a process group that is
// killed when ctx ends.
func plainTool(ctx context.Context, c Command, out io.Writer) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Run()
}

// toolEnv picks from environ what a package manager needs to reach its index,
// and nothing else: its build scripts are strangers' code.
func toolEnv(environ []string, path, temp string) []string {
	env := []string{"PATH=" + path, "HOME=" + temp, "TMPDIR=" + temp, "LANG=C.UTF-8", "PYTHONNOUSERSITE=1"}
	for _, setting := range environ {
		if name, _, _ := strings.Cut(setting, "="); isForTools(name) {
			env = append(env, setting)
		}
	}
	return env
}

// isForTools reports whether an operator sets that variable for pip, npm or go, to say which
// index is used and how it is reached.
func isForTools(name string) bool {
	upper := strings.ToUpper(name)
	if upper == "PIP_CACHE_DIR" || upper == "NPM_CONFIG_CACHE" {
		return false // what one build leaves there, another must not trust
	}
	if strings.HasSuffix(upper, "_PROXY") || strings.HasPrefix(upper, "NPM_CONFIG_") {
		return true
	}
	return strings.HasPrefix(name, "PIP_") || strings.HasPrefix(name, "SSL_CERT_") || slices.Contains([]string{
		"REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
		"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE",
	}, name)
}

// maxToolOutput bounds what is kept of a tool's output, in bytes: the last ones.
const maxToolOutput = 64 << 10

// A lineWriter keeps a tool's output and logs it line by line.
type lineWriter struct {
	log  func(string)
	kept bytes.Buffer
	line bytes.Buffer
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.kept.Write(p)
	if over := w.kept.Len() - maxToolOutput; over > 0 {
		w.kept.Next(over)
	}
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			w.line.Write(rest[:min(len(rest), max(0, maxToolOutput-w.line.Len()))])
			break
		}
		w.line.Write(rest[:i])
		w.log(w.line.String())
		w.line.Reset()
		rest = rest[i+1:]
	}
	return len(p), nil
}

func (w *lineWriter) text() string { return w.kept.String() }
