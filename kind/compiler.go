package kind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A compiler is a script by the ActionLoop contract:
//
//	compile MAIN SRC_DIR BIN_DIR
//
// The code is in SRC_DIR, unpacked or as one file called exec; the script leaves an
// ActionLoop executable as BIN_DIR/exec.
type compiler struct {
	Kind string `json:"kind"`
	Path string `json:"path"`
}

// parseCompilers reads settings like "ruby:2.5=/path/to/compile".
func parseCompilers(settings []string) ([]compiler, error) {
	var all []compiler
	for _, setting := range settings {
		kind, path, ok := strings.Cut(setting, "=")
		language, version, versioned := strings.Cut(kind, ":")
		if !ok || !versioned || language == "" || version == "" || !filepath.IsAbs(path) {
			return nil, fmt.Errorf("--compiler %q: it must look like ruby:2.5=/path/to/compile", setting)
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("--compiler %q: %w", setting, err)
		}
		if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return nil, fmt.Errorf("--compiler %q: it is not executable", setting)
		}
		if canonical(kind) == Native || slices.ContainsFunc(all, func(c compiler) bool { return c.Kind == kind }) {
			return nil, fmt.Errorf("--compiler %q: that kind is there already", setting)
		}
		all = append(all, compiler{kind, path})
	}
	return all, nil
}

// prepareCompiled has the code compiled by the operator's script for that kind.
func (s *Set) prepareCompiled(ctx context.Context, c compiler, src Source, log func(string)) (Command, error) {
	if src.Binary && isELF(src.CodePath) {
		return s.prepareNative(ctx, src)
	}
	archive, err := place(ctx, src, "exec", 0o644)
	if err != nil {
		return Command{}, err
	}
	if err := asText(src, archive); err != nil {
		return Command{}, err
	}
	return s.compiled(ctx, compilation{kind: c.Kind, script: c.Path, main: src.Main, source: src.Dir, archive: archive}, src, log)
}

// compiled is the command for what a script makes of the code, once for each content. It stays where
// it was made: it may name its own place.
func (s *Set) compiled(ctx context.Context, c compilation, src Source, log func(string)) (Command, error) {
	key, err := c.key(src.CodePath)
	if err != nil {
		return Command{}, ours("reading the code", err)
	}
	places := hideable(programPlaces(c.script))
	env, err := s.environment(ctx, src.EnvsDir, "compiled-"+key, builder{
		readable: places,
		log:      log,
		doing:    "compiling the function",
		build:    c.build,
	})
	if err != nil {
		return Command{}, err
	}
	path := filepath.Join(env, "bin", "exec")
	return Command{Path: path, Env: s.baseEnv(src, path), Readable: places, MayNotAck: !s.proxy.MustAck}.in(env), nil
}

// A compilation is one call of a compiler script.
type compilation struct {
	kind, script, main string
	source             string // the function's directory; it is copied
	archive            string // the format of what source was unpacked from, or ""
	env                []string
	// strict takes all that the script prints for an error: OpenWhisk's own scripts end with code 0
	// then, and leave something that does not run.
	strict bool
	// executionEnv must be what the script leaves in exec.env, if it leaves that; empty: anything.
	executionEnv string
}

// key names what comes out.
func (c compilation) key(codePath string) (string, error) {
	code, err1 := digestOf(codePath)
	script, err2 := digestOf(c.script)
	parts := []string{"compile 2", c.kind, c.script, script, c.main, code, c.archive, c.executionEnv, fmt.Sprint(c.strict)}
	return keyOf(append(parts, c.env...)...), errors.Join(err1, err2)
}

func (c compilation) build(ctx context.Context, b builder) error {
	b.log("compiling the function (once)")
	source, bin := filepath.Join(b.dir, "src"), filepath.Join(b.dir, "bin")
	if err := errors.Join(os.CopyFS(source, os.DirFS(c.source)), os.Mkdir(bin, 0o755)); err != nil {
		return ours("copying the code", err)
	}
	out, err := b.run(ctx, Command{Path: c.script, Args: []string{c.main, source, bin}, Env: c.env})
	if err == nil && c.strict && strings.TrimSpace(out) != "" {
		err = errors.New("it printed something")
	}
	if err != nil {
		return b.failed(ctx, "the code cannot be compiled: "+lastLine(out), out, err)
	}
	// What the code's own build left there may be links, to what only we can read.
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return ours("looking at what was compiled", err)
	}
	defer root.Close()
	// The contract's tools end with code 0 also when they fail, and leave nothing.
	info, err := root.Lstat("bin/exec")
	if err != nil || !info.Mode().IsRegular() {
		return b.failed(ctx, "the compiler left no executable: "+lastLine(out), out, errors.New("there is no bin/exec"))
	}
	if err := c.settleExecutionEnv(root); err != nil {
		return err
	}
	return root.Chmod("bin/exec", 0o755)
}

// settleExecutionEnv sees to it that the result says where it may run.
func (c compilation) settleExecutionEnv(root *os.Root) error {
	const name = "bin/" + executionEnvFile
	if c.executionEnv == "" {
		return nil
	}
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := root.WriteFile(name, []byte(c.executionEnv), 0o644); err != nil {
			return ours("writing "+executionEnvFile, err)
		}
		return nil
	case err != nil:
		return ours("looking at "+executionEnvFile, err)
	case !info.Mode().IsRegular() || info.Size() > maxList:
		return fault("the compiler left %s, but it is no small file", executionEnvFile)
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return ours("reading "+executionEnvFile, err)
	}
	if have := strings.TrimSpace(string(text)); have != c.executionEnv {
		return fault("the compiler made the action for the execution environment %q (%s), and this one is %q (OW_EXECUTION_ENV)", have, executionEnvFile, c.executionEnv)
	}
	return nil
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return "it said nothing"
}
