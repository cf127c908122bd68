package kind_test

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

func discover(t *testing.T, opts kind.Options) *kind.Set {
	t.Helper()
	set, err := kind.Discover(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var usualSet = sync.OnceValues(func() (*kind.Set, error) {
	return kind.Discover(context.Background(), kind.Options{})
})

// usual is what Discover finds without being told, once for all tests.
func usual(t testing.TB) *kind.Set {
	t.Helper()
	set, err := usualSet()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// An entry is one of a zip; mode 0 is a plain file.
type entry struct {
	name, text string
	mode       fs.FileMode
}

func zipFile(t *testing.T, entries ...entry) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "code.zip"))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode == 0 {
			e.mode = 0o644
		}
		h.SetMode(e.mode)
		out, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func source(t testing.TB, name, codePath string) kind.Source {
	t.Helper()
	base := t.TempDir()
	return kind.Source{Kind: name, Main: "main", CodePath: codePath, Binary: strings.HasSuffix(codePath, ".zip"),
		Dir: mkdir(t, base, "dir"), EnvsDir: filepath.Join(base, "envs"), LauncherDir: filepath.Join(base, "launchers")}
}

func mkdir(t testing.TB, base, name string) string {
	t.Helper()
	dir := filepath.Join(base, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func wantFault(t *testing.T, err error, code function.Code, words string) {
	t.Helper()
	if e := function.AsError(err); e == nil || e.Code != code || !strings.Contains(e.Message, words) {
		t.Errorf("got %+v; want %s, %q", e, code, words)
	}
}

func TestDiscoverFindsWhatIsThere(t *testing.T) {
	set := discover(t, kind.Options{})
	var names []string
	for _, k := range set.Kinds() {
		names = append(names, k.Name)
		if k.Name != kind.Native && k.Version == "" {
			t.Errorf("%s has no version", k.Name)
		}
	}
	if !slices.Contains(names, kind.Python) || !slices.Contains(names, kind.Native) {
		t.Errorf("found %v", names)
	}
	if _, err := kind.Discover(t.Context(), kind.Options{Python: "/does/not/exist"}); err == nil {
		t.Error("no error for an interpreter that was named and is missing")
	}
}

func TestMissingInterpreterIsNoError(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	set := discover(t, kind.Options{})
	if kinds := set.Kinds(); len(kinds) != 1 {
		t.Errorf("found %v", kinds)
	}
	_, err := set.Prepare(t.Context(), source(t, kind.Python, zipFile(t)), nil)
	wantFault(t, err, function.CodeBadRequest, `the kind "python:3" cannot be run here; there are native`)
}

// A child that has its parent's Environ starts no interpreter: here it could not
// find one.
func TestChildNeedsNoDiscovery(t *testing.T) {
	parent := discover(t, kind.Options{})
	for _, setting := range parent.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
	t.Setenv("PATH", t.TempDir())
	if child := discover(t, kind.Options{}); !slices.Equal(child.Kinds(), parent.Kinds()) {
		t.Errorf("the child found %v", child.Kinds())
	}
}

func TestArchivesThatAreRefused(t *testing.T) {
	set := usual(t)
	link := fs.ModeSymlink | 0o777
	for _, c := range []struct {
		name, kind string
		entries    []entry
		words      string
	}{
		{"parent", kind.Python, []entry{{name: "../evil"}}, "would leave"},
		{"inner parent", kind.Python, []entry{{name: "a/../../evil"}}, "would leave"},
		{"absolute", kind.Python, []entry{{name: "/etc/evil"}}, "would leave"},
		{"backslash", kind.Python, []entry{{name: `..\evil`}}, "would leave"},
		{"absolute link", kind.Python, []entry{{"x", "/etc", link}}, "outside"},
		{"link up", kind.Python, []entry{{"a/x", "../../etc", link}}, "outside"},
		{"link through link", kind.Python, []entry{{"a", "b/c", link}, {"x", "a/../../..", link}}, "outside"},
		{"below a link", kind.Python, []entry{{"p/q", "..", link}, {"p/q/x", "../..", link}}, "below another link"},
		{"file below a link", kind.Python, []entry{{"p", ".", link}, {"p/x", "", 0}}, "cannot be unpacked"},
		{"device", kind.Python, []entry{{"x", "", fs.ModeDevice | fs.ModeCharDevice | 0o666}}, "neither a file"},
		{"pipe", kind.Python, []entry{{"x", "", fs.ModeNamedPipe | 0o666}}, "neither a file"},
		{"bomb", kind.Python, []entry{{"x", strings.Repeat("\x00", 70<<20), 0}}, "more than is allowed"},
		{"no main", kind.Python, []entry{{"other.py", "", 0}}, "no __main__.py"},
		{"no index", kind.NodeJS, []entry{{"other.js", "", 0}}, "neither a package.json"},
		{"bad package", kind.NodeJS, []entry{{"package.json", "{", 0}}, "package.json cannot be read"},
		{"missing main", kind.NodeJS, []entry{{"package.json", `{"main":"lib/x.js"}`, 0}}, `"lib/x.js"`},
		{"no exec", kind.Native, []entry{{"run", "", 0}}, "no executable called exec"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := set.Prepare(t.Context(), source(t, c.kind, zipFile(t, c.entries...)), nil)
			wantFault(t, err, function.CodeInitFailed, c.words)
		})
	}
}

func TestDamagedArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "code.zip")
	if err := os.WriteFile(path, []byte("PK\x03\x04 and nothing more"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := usual(t).Prepare(t.Context(), source(t, kind.Python, path), nil)
	wantFault(t, err, function.CodeInitFailed, "cannot be read")
}

func TestArchiveKeepsExecBitsAndInnerLinks(t *testing.T) {
	src := source(t, kind.Native, zipFile(t,
		entry{"exec", "#!/bin/sh\n", 0o644}, entry{"bin/tool", "", 0o755}, entry{"data.txt", "hi", 0o600},
		entry{"lib/data", "../data.txt", fs.ModeSymlink | 0o777}))
	cmd, err := usual(t).Prepare(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, exec := range map[string]bool{"exec": true, "bin/tool": true, "data.txt": false} {
		info, err := os.Stat(filepath.Join(src.Dir, name))
		if err != nil || (info.Mode()&0o100 != 0) != exec {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(src.Dir, "lib/data")); string(text) != "hi" {
		t.Errorf("through the link: %q, %v", text, err)
	}
	if cmd.Path != filepath.Join(src.Dir, "exec") || cmd.Dir != src.Dir {
		t.Errorf("command: %+v", cmd)
	}
}

var pipWorks = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "pip")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command("python3", "-m", "pip", "download", "--no-deps", "--quiet", "--dest", dir, "iniconfig==2.0.0").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// requirePip skips where the package index cannot be reached, unless the
// environment says that it must be.
func requirePip(t *testing.T) {
	t.Helper()
	if err := pipWorks(); err != nil && os.Getenv("WHISKAWAY_NEED_INDEX") == "" {
		t.Skipf("no package index can be reached: %v", err)
	}
}

func TestRequirementsAreBuiltOnceAndShared(t *testing.T) {
	requirePip(t)
	var pips int
	set := usual(t)
	code := zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "# one\n\niniconfig==2.0.0  # two\n", 0})
	src := source(t, kind.Python, code)
	log := func(line string) {
		if strings.HasPrefix(line, "Successfully installed") {
			pips++
		}
	}
	first, err := set.Prepare(t.Context(), src, log)
	if err != nil {
		t.Fatal(err, function.AsError(err).Logs)
	}
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", src.EnvsDir).Run() })
	again := source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "iniconfig==2.0.0", 0}))
	again.EnvsDir = src.EnvsDir
	second, err := set.Prepare(t.Context(), again, log)
	if err != nil || first.Path != second.Path || pips != 1 {
		t.Errorf("%s, then %s (%v), with %d installations", first.Path, second.Path, err, pips)
	}
	if out, err := exec.Command(first.Path, "-c", "import iniconfig").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	info, err := os.Stat(filepath.Dir(first.Path))
	if err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("the environment can be written: %v, %v", info.Mode(), err)
	}
}

func TestRequirementsThatFailSayPipsWords(t *testing.T) {
	requirePip(t)
	src := source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "iniconfig==999.0", 0}))
	_, err := usual(t).Prepare(t.Context(), src, nil)
	wantFault(t, err, function.CodeInitFailed, "No matching distribution found for iniconfig==999.0")
	if logs := function.AsError(err).Logs; !strings.Contains(logs, "iniconfig==999.0") {
		t.Errorf("logs: %q", logs)
	}
	left, _ := filepath.Glob(filepath.Join(src.EnvsDir, "*"))
	if len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestPrepareEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src := source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "iniconfig==2.0.0", 0}))
	_, err := usual(t).Prepare(ctx, src, func(string) { cancel() })
	if function.CodeOf(err) != function.CodeCancelled {
		t.Errorf("got %v", err)
	}
}
