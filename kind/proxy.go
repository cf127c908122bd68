package kind

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Proxy is how the image of a runtime was set up for OpenWhisk's action proxy, in whose place we are. The
// zero value is right everywhere else.
type Proxy struct {
	// Compiler is a script by the ActionLoop contract, which compiles the code of every kind; empty: there
	// is none. Other interpreters are then not looked for.
	Compiler string
	// ExecutionEnv is what the file exec.env of a precompiled action must hold; empty: anything.
	ExecutionEnv string
	// Jar is the file's name for code that is a Java archive, which is then not unpacked; empty: it is.
	Jar string
	// MustAck says that every executable sends an ack.
	MustAck bool
}

// executionEnvFile stands beside an executable, and says where that may run.
const executionEnvFile = "exec.env"

// findCompiler finds the script as a shell would.
func (p Proxy) findCompiler() (string, error) {
	path, err := exec.LookPath(p.Compiler)
	if err != nil {
		return "", fmt.Errorf("OW_COMPILER=%q: it is not an executable that is here", p.Compiler)
	}
	return filepath.Abs(path)
}

// firstActivation are the variables that differ at each first activation of one function. A build
// that depended on them would be of no use for the next.
var firstActivation = []string{"__OW_ACTIVATION_ID", "__OW_TRANSACTION_ID", "__OW_DEADLINE"}

// CompilerEnv is what a compiler script finds in its environment: of given, which is the container's,
// the platform's variables, and the function's own.
func CompilerEnv(given []string, own map[string]string) []string {
	var env []string
	for _, setting := range given {
		name, _, _ := strings.Cut(setting, "=")
		if strings.HasPrefix(name, "__OW_") && !slices.Contains(firstActivation, name) {
			env = append(env, setting)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		env = append(env, name+"="+own[name])
	}
	return env
}

// prepareForProxy does what the action proxy does with a compiler: what is an executable runs as it
// is, all else is compiled.
func (s *Set) prepareForProxy(ctx context.Context, src Source, log func(string)) (Command, error) {
	archive, err := s.placeForProxy(ctx, src)
	if err != nil {
		return Command{}, err
	}
	if isProgram(filepath.Join(src.Dir, "exec")) {
		return s.executable(src, archive)
	}
	return s.compiled(ctx, compilation{
		kind: src.Kind, script: s.proxy.Compiler, main: src.Main, source: src.Dir, archive: archive, env: src.Env,
		strict: true, executionEnv: s.proxy.ExecutionEnv,
	}, src, log)
}

func (s *Set) placeForProxy(ctx context.Context, src Source) (archive string, err error) {
	if s.proxy.Jar == "" || !isJar(ctx, src.CodePath) {
		return place(ctx, src, "exec", 0o755)
	}
	if filepath.Base(s.proxy.Jar) != s.proxy.Jar || !filepath.IsLocal(s.proxy.Jar) {
		return "", ours("placing the code", fmt.Errorf("OW_SAVE_JAR=%q: it must be the name of a file, without a directory", s.proxy.Jar))
	}
	if err := copyFile(filepath.Join(src.Dir, s.proxy.Jar), src.CodePath, 0o644); err != nil {
		return "", ours("placing the code", err)
	}
	return "", nil
}

// isJar reports whether a file is a zip that Java's tools have made.
func isJar(ctx context.Context, path string) bool {
	if format, err := formatOf(path); err != nil || format != formatZip {
		return false
	}
	if n, err := countHeaders(ctx, path); err != nil || n > maxEntries {
		return false
	}
	r, err := zip.OpenReader(path)
	if err != nil {
		return false
	}
	defer r.Close()
	return slices.ContainsFunc(r.File, func(f *zip.File) bool { return strings.HasPrefix(f.Name, "META-INF/") })
}

// isProgram reports whether a file can be executed as it is: it was compiled, or its first line names
// what runs it.
func isProgram(path string) bool {
	head := headOf(path)
	return bytes.HasPrefix(head, []byte("\x7fELF")) || bytes.HasPrefix(head, []byte("#!")) || bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")) // macOS
}

// headOf is the beginning of a file; nothing when it cannot be read.
func headOf(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	head := make([]byte, 4096)
	n, _ := io.ReadFull(f, head)
	return head[:n]
}

// IsBinary reports whether code is an archive or was compiled: no source text.
func IsBinary(path string) (bool, error) {
	format, err := formatOf(path)
	return format != "" || isELF(path), err
}

// checkExecutionEnv refuses an executable that was made for another image than ours.
func (s *Set) checkExecutionEnv(dir string) error {
	if s.proxy.ExecutionEnv == "" {
		return nil
	}
	text, err := readList(dir, executionEnvFile)
	if s.bundling && errors.Is(err, fs.ErrNotExist) {
		return nil // who compiles it here says that it is for here
	}
	if err != nil {
		return fault("the action was compiled elsewhere, and does not say for which execution environment: this one is %q (OW_EXECUTION_ENV), and the archive must hold that in a file %s beside exec", s.proxy.ExecutionEnv, executionEnvFile)
	}
	if have := strings.TrimSpace(string(text)); have != s.proxy.ExecutionEnv {
		return fault("the action was compiled for the execution environment %q (%s), and this one is %q (OW_EXECUTION_ENV): compile it with this image", have, executionEnvFile, s.proxy.ExecutionEnv)
	}
	return nil
}
