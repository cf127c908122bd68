package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// An interpreter was found on this machine; the zero value was not.
type interpreter struct {
	path    string // the real executable, not a shim that looks it up at every start
	version string
}

// A finder knows how to find one interpreter.
type finder struct {
	command string   // what to look for in PATH
	args    []string // make it print its own path and its version, a line each
	oldest  [2]int   // the first version that will do
	env     string   // names the path; with _VERSION appended, the version
}

var (
	pythonFinder = finder{
		command: "python3",
		args:    []string{"-c", "import sys, platform; print(sys.executable); print(platform.python_version())"},
		oldest:  [2]int{3, 9},
		env:     "WHISKAWAY_PYTHON",
	}
	nodeFinder = finder{
		command: "node",
		args:    []string{"-p", "process.execPath + '\\n' + process.versions.node"},
		oldest:  [2]int{18, 0},
		env:     "WHISKAWAY_NODE",
	}
)

// discoverTimeout bounds one interpreter's start. A cold disk may take seconds.
const discoverTimeout = 30 * time.Second

// find looks for the interpreter: named by the caller, else by the
// environment, else in PATH.
func (f finder) find(ctx context.Context, named string) (interpreter, error) {
	command := named
	if named == "" {
		if path, version := os.Getenv(f.env), os.Getenv(f.env+"_VERSION"); filepath.IsAbs(path) && version != "" {
			return interpreter{path, version}, nil
		}
		named = os.Getenv(f.env)
		command = named
	}
	if command == "" {
		command = f.command
	}
	found, err := f.ask(ctx, command)
	if err != nil && named == "" {
		return interpreter{}, nil // not there, or too old: that kind is not served
	}
	if err != nil {
		return interpreter{}, fmt.Errorf("the interpreter %q: %w", named, err)
	}
	return found, nil
}

// ask starts the interpreter, which knows best what it is.
func (f finder) ask(ctx context.Context, command string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, command, f.args...).Output()
	if err != nil {
		return interpreter{}, err
	}
	path, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !filepath.IsAbs(path) {
		return interpreter{}, fmt.Errorf("it says that its path is %q", path)
	}
	return interpreter{path, version}, f.check(version)
}

func (f finder) check(version string) error {
	majorText, rest, _ := strings.Cut(version, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(minorText)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("it says that its version is %q", version)
	}
	if major < f.oldest[0] || major == f.oldest[0] && minor < f.oldest[1] {
		return fmt.Errorf("version %s is too old, %d.%d is needed", version, f.oldest[0], f.oldest[1])
	}
	return nil
}

func (f finder) environ(i interpreter) []string {
	if i.path == "" {
		return nil
	}
	return []string{f.env + "=" + i.path, f.env + "_VERSION=" + i.version}
}
