package kind

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// envPython is the interpreter of a Python environment.
func envPython(env string) string { return filepath.Join(env, "venv", "bin", "python") }

// pythonEnv returns the directory of the environment for a requirements.txt.
func (s *Set) pythonEnv(ctx context.Context, python interpreter, src Source, list string, log func(string)) (string, error) {
	reqs, err := parseRequirements(list)
	if err != nil {
		return "", fault("the archive's requirements.txt: %v", err)
	}
	return s.environment(ctx, src.EnvsDir, "python-"+reqs.key(python), builder{
		readable: python.Readable,
		log:      log,
		doing:    "installing the function's requirements",
		build:    venvBuild{python.Path, reqs}.build,
	})
}

// A venvBuild says what to build a virtual environment from.
type venvBuild struct {
	python string
	reqs   requirements
}

func (v venvBuild) build(ctx context.Context, b builder) error {
	b.log("building an environment for requirements.txt (once)")
	list := filepath.Join(b.temp(), "requirements.txt")
	if err := os.WriteFile(list, []byte(strings.Join(v.reqs.lines, "\n")+"\n"), 0o644); err != nil {
		return ours("writing requirements.txt", err)
	}
	pip, err := v.makeEnv(ctx, b)
	if err != nil {
		return err
	}
	pip.Args = append(pip.Args, "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--requirement", list)
	if v.reqs.noDeps {
		pip.Args = append(pip.Args, "--no-deps")
	}
	if out, err := b.run(ctx, pip); err != nil {
		return b.failed(ctx, "pip could not install the function's requirements: "+lastError(out), out, err)
	}
	return nil
}

// makeEnv creates an empty environment, and returns the beginning of a pip
// command for it. Where this Python has its own pip, that one serves: it is faster
// than a pip in each environment, and Debian's python3 has no ensurepip.
func (v venvBuild) makeEnv(ctx context.Context, b builder) (pip Command, err error) {
	own := envPython(b.dir)
	if out, err := b.run(ctx, Command{Path: v.python, Args: []string{"-m", "venv", "--without-pip", filepath.Join(b.dir, "venv")}}); err != nil {
		return pip, b.failed(ctx, "this server's Python cannot create virtual environments; its operator must install them (Debian: python3-venv)", out, err)
	}
	// pip knows --python since 22.3.
	const probe = "import sys, pip; sys.exit(tuple(map(int, pip.__version__.split('.')[:2])) < (22, 3))"
	if _, err := b.run(ctx, Command{Path: v.python, Args: []string{"-c", probe}}); err == nil {
		return Command{Path: v.python, Args: []string{"-m", "pip", "--python", own}}, nil
	}
	if out, err := b.run(ctx, Command{Path: own, Args: []string{"-m", "ensurepip"}}); err != nil {
		return pip, b.failed(ctx, "this server's Python has neither pip nor ensurepip; its operator must install one (Debian: python3-venv)", out, err)
	}
	return Command{Path: own, Args: []string{"-m", "pip"}}, nil
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
