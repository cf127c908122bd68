package kind

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An interpreter was found on this machine. A Go toolchain is one too.
type interpreter struct {
	Kind    string `json:"kind"` // the name that it is served under
	Path    string `json:"path"` // the real executable, not a shim that looks it up at every start
	Version string `json:"version"`
	// Readable are the directories that it needs and that a sandbox may hide.
	Readable []string `json:"readable,omitempty"`
}

func (i interpreter) language() string {
	language, _, _ := strings.Cut(i.Kind, ":")
	return language
}

// found is what Discover finds out, and what a child process of ours need not.
type found struct {
	Interpreters []interpreter `json:"interpreters"`
	Compilers    []compiler    `json:"compilers,omitempty"`
}

// foundEnv is the environment variable that hands found to a child, as JSON.
const foundEnv = "WHISKAWAY_KINDS"

func (f found) environ() []string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // strings only
	}
	return []string{foundEnv + "=" + string(text)}
}

func find(ctx context.Context, opts Options) (found, error) {
	if opts.names() {
		return search(ctx, opts)
	}
	text, told := os.LookupEnv(foundEnv)
	if !told {
		return search(ctx, opts)
	}
	var f found
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return f, fmt.Errorf("reading %s: %w; unset it", foundEnv, err)
	}
	return f, nil
}

// names reports whether the options name anything, which a parent cannot have known.
func (o Options) names() bool {
	return o.Python != "" || o.Node != "" || len(o.Interpreters) > 0 || len(o.Compilers) > 0
}

func search(ctx context.Context, opts Options) (found, error) {
	f, err := searchOurs(ctx, opts)
	if err != nil {
		return f, err
	}
	for _, setting := range opts.Interpreters {
		i, err := configured(ctx, setting, opts)
		if err != nil {
			return f, fmt.Errorf("--kind %q: %w", setting, err)
		}
		// The operator's word stands over what was found.
		f.Interpreters = slices.DeleteFunc(f.Interpreters, func(other interpreter) bool { return other.Kind == i.Kind })
		f.Interpreters = append(f.Interpreters, i)
	}
	f.Compilers, err = parseCompilers(opts.Compilers)
	f.Interpreters = slices.DeleteFunc(f.Interpreters, func(i interpreter) bool { // a compiler stands over it too
		return slices.ContainsFunc(f.Compilers, func(c compiler) bool { return c.Kind == i.Kind })
	})
	return f, err
}

// searchOurs looks for the languages that have launchers, for all at the same time: what starts
// an interpreter may be slow, such as pyenv's scripts, and a platform's start waits for this.
func searchOurs(ctx context.Context, opts Options) (f found, err error) {
	finders := []struct {
		finder finder
		named  string
	}{
		{pythonFinder, cmp.Or(opts.Python, os.Getenv("WHISKAWAY_PYTHON"))},
		{nodeFinder, cmp.Or(opts.Node, os.Getenv("WHISKAWAY_NODE"))},
		{goFinder, ""},
	}
	results := make([]struct {
		interpreter
		ok  bool
		err error
	}, len(finders))
	var all sync.WaitGroup
	for n, one := range finders {
		if language, _, _ := strings.Cut(one.finder.kind, ":"); opts.Only != "" && opts.Only != language {
			continue
		}
		r := &results[n]
		all.Go(func() { r.interpreter, r.ok, r.err = one.finder.search(ctx, one.named, opts) })
	}
	all.Wait()
	for _, r := range results {
		if r.err != nil {
			return f, r.err
		}
		if r.ok {
			f.Interpreters = append(f.Interpreters, r.interpreter)
		}
	}
	return f, nil
}

// configured finds an interpreter that an operator names as "python:3.12=/path".
func configured(ctx context.Context, setting string, opts Options) (interpreter, error) {
	kind, path, ok := strings.Cut(setting, "=")
	language, version, versioned := strings.Cut(kind, ":")
	if !ok || !versioned || version == "" || !filepath.IsAbs(path) {
		return interpreter{}, errors.New("it must look like python:3.12=/path/to/python")
	}
	all := []finder{pythonFinder, nodeFinder, goFinder}
	n := slices.IndexFunc(all, func(f finder) bool { return strings.HasPrefix(f.kind, language+":") })
	if n < 0 {
		return interpreter{}, fmt.Errorf("there is no interpreter for %q, only for python, nodejs and go; name a compiler script instead", language)
	}
	i, err := all[n].ask(ctx, path)
	if err == nil {
		err = all[n].usable(ctx, i, opts)
	}
	i.Kind = kind
	if err == nil && version[0] >= '0' && version[0] <= '9' && !i.serves(version) {
		err = fmt.Errorf("its version is %s", i.Version)
	}
	return i, err
}

// A finder knows how to find the interpreter of one language.
type finder struct {
	kind    string
	command string   // what to look for in PATH
	args    []string // make it say what it is
	oldest  [2]int   // the first version that will do
	nothing []string // arguments with which it does nothing
	// read makes sense of what it says, line by line. It leaves Readable complete,
	// with what no sandbox hides too.
	read func(lines []string) interpreter
}

var (
	pythonFinder = finder{
		kind:    Python,
		command: "python3",
		args: []string{"-c", "import sys, platform, os\n" +
			"for x in (sys.executable, platform.python_version(), sys.prefix, sys.base_prefix, sys._base_executable): print(x)"},
		oldest:  [2]int{3, 9},
		nothing: []string{"-c", "pass"},
		read: func(lines []string) interpreter {
			return interpreter{Path: lines[0], Version: lines[1], Readable: pythonPlaces(lines)}
		},
	}
	nodeFinder = finder{
		kind:    NodeJS,
		command: "node",
		args:    []string{"-p", "process.execPath + '\\n' + process.versions.node"},
		oldest:  [2]int{18, 0},
		nothing: []string{"-e", "0"},
		read: func(lines []string) interpreter {
			return interpreter{Path: lines[0], Version: lines[1], Readable: programPlaces(lines[0])}
		},
	}
	goFinder = finder{
		kind:    Go,
		command: "go",
		args:    []string{"env", "GOROOT", "GOVERSION"},
		oldest:  [2]int{1, 21},
		nothing: []string{"version"},
		read: func(lines []string) interpreter {
			return interpreter{Path: filepath.Join(lines[0], "bin", "go"), Version: strings.TrimPrefix(lines[1], "go"), Readable: []string{lines[0]}}
		},
	}
)

// search takes the interpreter that is named, or else the first in PATH that works.
func (f finder) search(ctx context.Context, named string, opts Options) (interpreter, bool, error) {
	if named != "" {
		i, err := f.ask(ctx, named)
		if err == nil {
			err = f.usable(ctx, i, opts)
		}
		if err != nil {
			return i, false, fmt.Errorf("the interpreter %q: %w", named, err)
		}
		return i, true, nil
	}
	var asked []string
	for _, command := range inPath(f.command) {
		i, err := f.ask(ctx, command)
		if slices.Contains(asked, i.Path) {
			continue
		}
		asked = append(asked, i.Path)
		if err == nil {
			err = f.usable(ctx, i, opts)
		}
		if err == nil {
			return i, true, nil
		}
		if ctx.Err() != nil {
			return i, false, fmt.Errorf("looking for %s: %w", f.command, context.Cause(ctx))
		}
		logger(opts).Warn("an interpreter is passed over", "path", cmp.Or(i.Path, command), "why", err)
	}
	return interpreter{}, false, nil
}

func logger(opts Options) *slog.Logger {
	if opts.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return opts.Log
}

// inPath lists the executables of that name in PATH, one for each directory. A link is not
// followed: a virtual environment's leads to an interpreter, but is another one.
func inPath(command string) []string {
	var paths, dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path, err := exec.LookPath(filepath.Join(dir, command))
		if err != nil || !filepath.IsAbs(path) {
			continue
		}
		real, err := filepath.EvalSymlinks(dir) // /bin is /usr/bin
		if err != nil || slices.Contains(dirs, real) {
			continue
		}
		paths, dirs = append(paths, path), append(dirs, real)
	}
	return paths
}

// discoverTimeout bounds one interpreter's start. A cold disk may take seconds.
const discoverTimeout = 30 * time.Second

// ask starts the interpreter, which knows best what it is.
func (f finder) ask(ctx context.Context, command string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, f.args...)
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local") // the toolchain itself, not what some go.mod asks for
	out, err := cmd.Output()
	if err != nil {
		return interpreter{}, fmt.Errorf("it does not say what it is: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 2 || !filepath.IsAbs(lines[0]) {
		return interpreter{}, fmt.Errorf("it says that its path is %q", lines[0])
	}
	i := f.read(lines)
	i.Kind, i.Readable = f.kind, hideable(i.Readable)
	return i, f.check(i.Version)
}

func (f finder) check(version string) error {
	have, err := majorMinor(version)
	if err != nil {
		return fmt.Errorf("it says that its version is %q", version)
	}
	if slices.Compare(have[:], f.oldest[:]) < 0 {
		return fmt.Errorf("version %s is too old, %d.%d is needed", version, f.oldest[0], f.oldest[1])
	}
	return nil
}

func majorMinor(version string) ([2]int, error) {
	majorText, rest, _ := strings.Cut(version, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(strings.TrimRight(minorText, "abcdefghijklmnopqrstuvwxyz+"))
	return [2]int{major, minor}, errors.Join(err1, err2)
}

// usable tries the interpreter as functions would run it.
func (f finder) usable(ctx context.Context, i interpreter, opts Options) error {
	if opts.Usable == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	err := opts.Usable(ctx, Command{Path: i.Path, Args: f.nothing, Dir: "/", Readable: i.Readable,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "LANG=C.UTF-8", "GOTOOLCHAIN=local"}})
	if err != nil {
		return fmt.Errorf("functions cannot run it: %w", err)
	}
	return nil
}
