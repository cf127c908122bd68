package kind

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/whiskaway/whiskaway/function"
)

// A Source is a function's code, and where to put what becomes of it.
type Source struct {
	Kind     string
	Main     string // the function's name in the code
	CodePath string // the file that holds the code's raw bytes
	Binary   bool   // an archive or an executable, not source text
	// Dir is an empty directory that becomes the function's own, and its
	// working directory.
	Dir string
	// EnvsDir caches the environments of dependencies; functions share it.
	EnvsDir string
	// LauncherDir takes our launchers; functions share it.
	LauncherDir string
	// Env is what the action proxy's compiler finds in its environment; see CompilerEnv.
	Env []string
}

// A Command is how to start a function's process.
type Command struct {
	Path string
	Args []string // without the zeroth
	Env  []string // what this kind needs; the function's own goes on top
	Dir  string
	// MayNotAck says that the process may be one that sends no ack: any ActionLoop
	// executable works as it is, also one written before there were acks.
	MayNotAck bool
	// Readable and Writable are directories that the process must see, or may
	// write to, besides the system's and Dir: the interpreter's, an environment's.
	// A sandbox hides what is not named where it lies in a place that it hides.
	Readable, Writable []string
	// EnvDir is the environment that the process uses; empty: none. Hold it meanwhile.
	EnvDir string
}

// Prepare lays out the code in src.Dir and says how to start it. log, which may
// be nil, gets a line now and then while that takes long.
//
// Errors are *function.Error: CodeInitFailed when it is the function's own
// fault, CodeBadRequest for a kind that is not served here.
func (s *Set) Prepare(ctx context.Context, src Source, log func(line string)) (Command, error) {
	if log == nil {
		log = func(string) {}
	}
	cmd, err := s.prepare(ctx, src, log)
	if err != nil {
		return Command{}, function.AsError(err)
	}
	cmd.Dir = src.Dir
	return cmd, nil
}

func (s *Set) prepare(ctx context.Context, src Source, log func(string)) (Command, error) {
	if s.proxy.Compiler != "" {
		return s.prepareForProxy(ctx, src, log)
	}
	if canonical(src.Kind) == Native {
		return s.prepareNative(ctx, src)
	}
	if c, ok := s.compiler(src.Kind); ok {
		return s.prepareCompiled(ctx, c, src, log)
	}
	i, _ := s.interpreter(src.Kind)
	switch i.language() {
	case "python":
		return s.preparePython(ctx, i, src, log)
	case "nodejs":
		return s.prepareNode(ctx, i, src, log)
	case "go":
		return s.prepareGo(ctx, i, src, log)
	}
	return Command{}, s.unknown(src.Kind)
}

// in adds an environment to a command.
func (c Command) in(env string) Command {
	c.EnvDir = env
	c.Readable = append(slices.Clone(c.Readable), env)
	return c
}

// baseEnv is what every function finds in its environment. Its own interpreter is
// the first one in PATH.
func (s *Set) baseEnv(src Source, program string) []string {
	return []string{"PATH=" + filepath.Dir(program) + ":" + s.path, "HOME=" + src.Dir, "LANG=C.UTF-8"}
}

// fault is an error of the function's own.
func fault(format string, args ...any) error {
	e := function.Errorf(function.CodeInitFailed, format, args...)
	e.Unbuilt = true
	return e
}

// ours is an error of this machine.
func ours(doing string, err error) error {
	return function.Errorf(function.CodeInternal, "%s: %v", doing, err)
}

// asText checks that src is not an archive that was sent without saying so.
func asText(src Source, archive string) error {
	if src.Binary == (archive != "") {
		return nil
	}
	if archive != "" {
		return fault("the code is a %s, but was sent as source text; send it as binary", archive)
	}
	return fault("the code was sent as binary, but is neither a zip nor a tar; a function of kind %s is source text or an archive", src.Kind)
}
