package kind

import (
	"context"

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
	switch kind := canonical(src.Kind); {
	case kind == Python && s.python.path != "":
		return s.preparePython(ctx, src, log)
	case kind == NodeJS && s.node.path != "":
		return s.prepareNode(ctx, src)
	case kind == Native:
		return s.prepareNative(ctx, src)
	}
	return Command{}, s.unknown(src.Kind)
}

// baseEnv is what every function finds in its environment.
func (s *Set) baseEnv(src Source, path string) []string {
	return []string{"PATH=" + path, "HOME=" + src.Dir, "LANG=C.UTF-8"}
}

// fault is an error of the function's own.
func fault(format string, args ...any) error {
	return function.Errorf(function.CodeInitFailed, format, args...)
}

// ours is an error of this machine.
func ours(doing string, err error) error {
	return function.Errorf(function.CodeInternal, "%s: %v", doing, err)
}

// asText checks that src is not an archive that was sent without saying so.
func asText(src Source, archive bool) error {
	if src.Binary == archive {
		return nil
	}
	if archive {
		return fault("the code is a zip, but was sent as source text; send it as binary")
	}
	return fault("the code was sent as binary, but is not a zip; a function of kind %s is source text or a zip", src.Kind)
}
