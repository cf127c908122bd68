package kind

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the launcher
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed launcher.go.txt
var goText string

// goLauncherName is the launcher's file in the function's package.
const goLauncherName = "whiskaway__main.go"

// prepareGo takes source text, or an archive of a module or of loose files; and what was
// compiled elsewhere, as the kind native does.
func (s *Set) prepareGo(ctx context.Context, toolchain interpreter, src Source, log func(string)) (Command, error) {
	if src.Binary && isELF(src.CodePath) {
		return s.prepareNative(ctx, src)
	}
	archive, err := place(ctx, src, "main.go", 0o644)
	if err != nil {
		return Command{}, err
	}
	if err := asText(src, archive); err != nil {
		return Command{}, err
	}
	if isPrecompiled(src, archive) {
		return s.executable(src, archive)
	}
	code, err := readGo(src.Dir, src.Main, archive)
	if err != nil {
		return Command{}, err
	}
	digest, err := digestOf(src.CodePath)
	if err != nil {
		return Command{}, ours("reading the code", err)
	}
	b := goBuild{set: s, toolchain: toolchain, code: code, source: src.Dir, envs: src.EnvsDir}
	env, err := s.environment(ctx, src.EnvsDir, "go-"+keyOf("go 1", toolchain.Path, toolchain.Version, goText, code.function, digest), builder{
		readable: toolchain.Readable,
		log:      log,
		doing:    "compiling the function",
		build:    b.build,
	})
	if err != nil {
		return Command{}, err
	}
	path := filepath.Join(env, "exec")
	return Command{Path: path, Env: s.baseEnv(src, path), MayNotAck: code.ownMain && !s.proxy.MustAck}.in(env), nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// goCode is what must be known of a function's source before it is compiled.
type goCode struct {
	function string // "Main"
	pkg      string // the directory of package main, relative: "." or "main"
	ownMain  bool   // it has a func main, and so is an ActionLoop itself
	isModule bool
	vendored bool
}

// readGo looks at a function's source.
func readGo(dir, name, archive string) (goCode, error) {
	code := goCode{function: exported(name), isModule: exists(filepath.Join(dir, "go.mod")), vendored: exists(filepath.Join(dir, "vendor", "modules.txt"))}
	if !token.IsIdentifier(code.function) {
		return code, fault("%q cannot be the name of a Go function", name)
	}
	for _, code.pkg = range []string{".", "main"} { // OpenWhisk knows both
		functions, isMain, err := goFunctions(filepath.Join(dir, code.pkg))
		if err != nil {
			return code, ours("reading the code", err)
		}
		if !isMain {
			continue
		}
		code.ownMain = slices.Contains(functions, "main")
		if !code.ownMain && !slices.Contains(functions, code.function) {
			return code, fault("The action does not have a function named '%s'; it has %s.", code.function, strings.Join(functions, ", "))
		}
		return code, checkModule(dir)
	}
	if archive == "" {
		return code, fault("the Go code is not of package main: its first line must be \"package main\"")
	}
	return code, fault("the %s has neither Go files of package main at its top nor in a directory called main%s", archive, elsewhere(dir, "go.mod", "main.go"))
}

// exported makes "main" into "Main", as OpenWhisk does.
func exported(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

// goFunctions lists the functions of a directory's package, and says whether that is main.
// What the parser does not understand is left to the compiler, which says it better.
func goFunctions(dir string) (names []string, isMain bool, err error) {
	files, err := filepath.Glob(filepath.Join(escaped(dir), "*.go"))
	if err != nil {
		return nil, false, err
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := readFile(dir, filepath.Base(path), maxGoFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		file, _ := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if file == nil || file.Name == nil || file.Name.Name != "main" {
			continue
		}
		isMain = true
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names, isMain, nil
}

// maxGoFile bounds a Go file that we look into, in bytes.
const maxGoFile = 8 << 20

// escaped makes a directory's name match itself in a pattern.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// checkModule refuses what a go.mod would read outside the archive.
func checkModule(dir string) error {
	text, err := readList(dir, "go.mod")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for line := range strings.Lines(string(text)) {
		_, target, ok := strings.Cut(line, "=>")
		fields := strings.Fields(target)
		if !ok || len(fields) == 0 {
			continue
		}
		path := strings.Trim(fields[0], "\"`")
		if filepath.IsAbs(path) || strings.HasPrefix(path, ".") && !filepath.IsLocal(path) {
			return fault("the archive's go.mod, %q: paths must stay inside the archive", strings.TrimSpace(line))
		}
	}
	return nil
}

// A goBuild says what to compile.
type goBuild struct {
	set       *Set
	toolchain interpreter
	code      goCode
	source    string // the function's directory; it is copied
	envs      string
}

func (g goBuild) build(ctx context.Context, b builder) error {
	// Each build has a cache of its own: what one function's build writes, another's must not
	// trust. They begin with the standard library, which only we have compiled.
	cache := filepath.Join(b.temp(), "cache")
	if err := g.copyStandardLibrary(ctx, cache, b.log); err != nil {
		return err
	}
	b.log("compiling the function (once)")
	source := filepath.Join(b.temp(), "action")
	if err := os.CopyFS(source, os.DirFS(g.source)); err != nil {
		return ours("copying the code", err)
	}
	if err := g.addFiles(source); err != nil {
		return ours("writing the launcher", err)
	}
	return g.compile(ctx, b, source, cache)
}

func (g goBuild) copyStandardLibrary(ctx context.Context, cache string, log func(string)) error {
	env, err := g.standardLibrary(ctx, log)
	if err != nil {
		return err
	}
	release, err := Hold(ctx, env)
	if err != nil {
		return ours("copying the compiler's cache", err)
	}
	defer release()
	if err := os.CopyFS(cache, os.DirFS(filepath.Join(env, "cache"))); err != nil {
		return ours("copying the compiler's cache", err)
	}
	return nil
}

// addFiles completes a function's source.
func (g goBuild) addFiles(source string) error {
	var errs []error
	if !g.code.isModule {
		have, _ := majorMinor(g.toolchain.Version)
		errs = append(errs, os.WriteFile(filepath.Join(source, "go.mod"), fmt.Appendf(nil, "module action\n\ngo %d.%d\n", have[0], have[1]), 0o644))
	}
	if !g.code.ownMain {
		text := strings.ReplaceAll(goText, "THE_FUNCTION", g.code.function)
		errs = append(errs, os.WriteFile(filepath.Join(source, g.code.pkg, goLauncherName), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

func (g goBuild) compile(ctx context.Context, b builder, source, cache string) error {
	flags := "-mod=mod" // modules that go.mod does not name are looked up
	if g.code.vendored {
		flags = "-mod=vendor"
	}
	out, err := b.run(ctx, Command{
		Path: g.toolchain.Path,
		Args: []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(b.dir, "exec"), "./" + g.code.pkg},
		Dir:  source,
		Env: []string{"GOCACHE=" + cache, "GOPATH=" + filepath.Join(b.temp(), "go"), "GOFLAGS=" + flags, "CGO_ENABLED=0",
			"GO111MODULE=on", "GOWORK=off", "GOENV=off", "GOTOOLCHAIN=local", "GOVCS=*:off"},
	})
	if err != nil {
		return b.failed(ctx, "the Go code cannot be compiled: "+compileError(out), out, err)
	}
	return nil
}

// compileError picks the compiler's first complaint.
func compileError(out string) string {
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "go: downloading") && !strings.HasPrefix(line, "go: finding") {
			return line
		}
	}
	return "see its output"
}

// standardLibrary returns the environment with the compiler's cache that every build
// begins with: without it, each would compile for seconds what all have in common.
func (g goBuild) standardLibrary(ctx context.Context, log func(string)) (string, error) {
	return g.set.environment(ctx, g.envs, "gocache-"+keyOf("go cache 1", g.toolchain.Path, g.toolchain.Version, goText), builder{
		readable: g.toolchain.Readable,
		log:      log,
		doing:    "compiling the standard library",
		build: func(ctx context.Context, b builder) error {
			b.log("compiling the standard library (once)")
			empty := g
			empty.code = goCode{function: "Main", pkg: "."}
			source := filepath.Join(b.temp(), "action")
			const text = "package main\n\nfunc Main(o map[string]interface{}) map[string]interface{} { return o }\n"
			err := errors.Join(os.Mkdir(source, 0o755), os.WriteFile(filepath.Join(source, "action.go"), []byte(text), 0o644), empty.addFiles(source))
			if err != nil {
				return ours("writing the launcher", err)
			}
			return empty.compile(ctx, b, source, filepath.Join(b.dir, "cache"))
		},
	})
}
