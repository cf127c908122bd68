package kind

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// complete marks an environment that was built to its end. Environments cannot
// be moved, so they are built in place.
const complete = ".whiskaway-complete"

func envPython(env string) string { return filepath.Join(env, "bin", "python") }

// pythonEnv returns the directory of the virtual environment for a
// requirements.txt. The first who asks builds it; the others wait.
func (s *Set) pythonEnv(ctx context.Context, src Source, list string, log func(string)) (string, error) {
	reqs, err := parseRequirements(list)
	if err != nil {
		return "", fault("the zip's requirements.txt: %v", err)
	}
	env, err := filepath.Abs(filepath.Join(src.EnvsDir, "python-"+reqs.key(s.python)))
	if err != nil {
		return "", ours("finding the environments", err)
	}
	if exists(filepath.Join(env, complete)) {
		return env, nil
	}
	if err := os.MkdirAll(src.EnvsDir, 0o755); err != nil {
		return "", ours("making room for environments", err)
	}
	unlock, err := lockFile(ctx, env+".lock")
	if err != nil {
		return "", fmt.Errorf("waiting for an environment that is being built: %w", err)
	}
	defer unlock()
	if exists(filepath.Join(env, complete)) {
		return env, nil
	}
	log("building an environment for requirements.txt (once)")
	if err := s.buildEnv(ctx, env, reqs, log); err != nil {
		removeAll(env)
		return "", err
	}
	return env, nil
}

func (s *Set) buildEnv(ctx context.Context, env string, reqs requirements, log func(string)) error {
	temp := env + ".tmp"
	removeAll(env) // what a build left that was cut off
	removeAll(temp)
	if err := os.Mkdir(temp, 0o700); err != nil {
		return ours("making room for pip", err)
	}
	defer os.RemoveAll(temp)
	list := filepath.Join(temp, "requirements.txt")
	if err := os.WriteFile(list, []byte(strings.Join(reqs.lines, "\n")+"\n"), 0o644); err != nil {
		return ours("writing requirements.txt", err)
	}
	b := envBuilder{set: s, env: env, temp: temp, log: log}
	pip, err := b.makeEnv(ctx)
	if err != nil {
		return err
	}
	install := append(pip, "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--requirement", list)
	if reqs.noDeps {
		install = append(install, "--no-deps")
	}
	if out, err := b.run(ctx, install...); err != nil {
		return initFailed(ctx, "pip could not install the function's requirements: "+lastError(out), out, err)
	}
	return finishEnv(env)
}

// finishEnv makes an environment read-only, since functions share it, and marks it
// as complete: not before, as others use it from then on.
func finishEnv(env string) error {
	if err := makeReadOnly(env); err != nil {
		return ours("making an environment read-only", err)
	}
	if err := os.WriteFile(filepath.Join(env, complete), nil, 0o444); err != nil {
		return ours("marking the environment as complete", err)
	}
	if err := os.Chmod(env, 0o555); err != nil {
		return ours("making an environment read-only", err)
	}
	return nil
}

// An envBuilder runs the tools that build one environment.
type envBuilder struct {
	set       *Set
	env, temp string
	log       func(string)
}

// makeEnv creates an empty environment, and returns the beginning of a pip
// command for it. Where this Python has its own pip, that one serves: it is faster
// than a pip in each environment, and Debian's python3 has no ensurepip.
func (b *envBuilder) makeEnv(ctx context.Context) ([]string, error) {
	python := b.set.python.path
	if out, err := b.run(ctx, python, "-m", "venv", "--without-pip", b.env); err != nil {
		return nil, initFailed(ctx, "this server's Python cannot create virtual environments; its operator must install them (Debian: python3-venv)", out, err)
	}
	// pip knows --python since 22.3.
	const probe = "import sys, pip; sys.exit(tuple(map(int, pip.__version__.split('.')[:2])) < (22, 3))"
	if _, err := b.run(ctx, python, "-c", probe); err == nil {
		return []string{python, "-m", "pip", "--python", envPython(b.env)}, nil
	}
	if out, err := b.run(ctx, envPython(b.env), "-m", "ensurepip"); err != nil {
		return nil, initFailed(ctx, "this server's Python has neither pip nor ensurepip; its operator must install one (Debian: python3-venv)", out, err)
	}
	return []string{envPython(b.env), "-m", "pip"}, nil
}

func (b *envBuilder) run(ctx context.Context, args ...string) (string, error) {
	out := &lineWriter{log: b.log}
	err := b.set.tool(ctx, Command{Path: args[0], Args: args[1:], Env: toolEnv(os.Environ(), b.set.path, b.temp), Dir: b.temp}, out)
	return out.text(), err
}

// initFailed is the function's error with the tool's words, unless it was our
// own patience that ended.
func initFailed(ctx context.Context, message, out string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("installing the function's requirements: %w", context.Cause(ctx))
	}
	if out == "" {
		out = err.Error() + "\n"
	}
	return &function.Error{Code: function.CodeInitFailed, Message: message, Logs: out}
}

// lastError picks pip's line that says what was wrong.
func lastError(out string) string {
	last := "see its output"
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, "ERROR: "); ok {
			last = strings.TrimSpace(text)
		}
	}
	return last
}

// makeReadOnly takes away the right to write, but for that in env itself.
func makeReadOnly(env string) error {
	return filepath.WalkDir(env, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == env || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&^0o222)
	})
}

// removeAll removes a directory even where it was made read-only.
func removeAll(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
	os.RemoveAll(dir)
}
