package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// maxSource is the largest code that is compiled, in bytes: what OpenWhisk takes by default.
const maxSource = 48 << 20

// compileCode compiles the code on in to a zip on out, as the action proxy does with -compile. Nothing is
// written before all is well. What the tools print goes to stderr.
func (c *runtimeCommand) compileCode(ctx context.Context, in io.Reader, out io.Writer) error {
	main, _, err := function.ParseMain(c.compile)
	if err != nil || c.compile == "" {
		return fmt.Errorf("--compile %q: give the name of the function in the code, such as main", c.compile)
	}
	log, err := c.runtimeLogger()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "whiskaway-compile-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b := bundler{dir: dir, main: main, env: c.env, token: c.token, settings: readSettings(), log: log}
	if err := b.bundle(ctx, in); err != nil {
		return withLogs(err)
	}
	packed, err := os.Open(b.zip())
	if err != nil {
		return fmt.Errorf("reading the zip back: %w", err)
	}
	defer packed.Close()
	if _, err := io.Copy(out, packed); err != nil {
		return fmt.Errorf("writing the zip: %w", err)
	}
	return nil
}

// withLogs puts a tool's words behind the error's own.
func withLogs(err error) error {
	if e := (*function.Error)(nil); errors.As(err, &e) && e.Logs != "" {
		return fmt.Errorf("%w\n%s", err, strings.TrimRight(e.Logs, "\n"))
	}
	return err
}

// A bundler makes a zip of code in its own directory.
type bundler struct {
	dir, main string
	env       string // JSON, or empty
	token     string
	settings  settings
	log       *slog.Logger
}

func (b bundler) path(name string) string { return filepath.Join(b.dir, name) }
func (b bundler) zip() string             { return b.path("action.zip") }

func (b bundler) bundle(ctx context.Context, in io.Reader) error {
	platform, own, err := b.environment()
	if err != nil {
		return err
	}
	src := kind.Source{
		Kind: b.settings.localKind(), Main: b.main, CodePath: b.path("code"), Dir: b.path("source"),
		EnvsDir: b.path("envs"), LauncherDir: b.path("launchers"),
	}
	if dir := os.Getenv("WHISKAWAY_ENVIRONMENTS"); dir != "" {
		src.EnvsDir = dir
	}
	if src.Binary, err = b.read(ctx, in, src.CodePath); err != nil {
		return err
	}
	flags := b.settings.machineFlags(findSecrets(b.token))
	src.Env = kind.CompilerEnv(b.settings.localEnv(platform, flags.secrets), own)
	m, err := findOut(ctx, b.log, flags, b.dir)
	if err != nil {
		return err
	}
	defer m.close()
	if err := errors.Join(os.Mkdir(src.Dir, 0o755), os.Mkdir(b.path("bundle"), 0o755)); err != nil {
		return fmt.Errorf("making directories: %w", err)
	}
	b.log.Debug("compiling", "kind", src.Kind, "main", src.Main)
	if err := m.kinds.Bundle(ctx, src, b.path("bundle"), func(line string) { b.log.Debug("compiling", "line", line) }); err != nil {
		return err
	}
	return b.pack()
}

// environment reads --env: the platform's variables, and the function's own.
func (b bundler) environment() (platform, own map[string]string, err error) {
	platform, own = map[string]string{}, map[string]string{}
	if b.env == "" {
		return platform, own, nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(b.env), &values); err != nil {
		return nil, nil, errors.New(`--env: it must be a JSON object, such as {"COLOR":"blue"}`) // its content may be secret
	}
	for name, raw := range values {
		text := string(raw)
		json.Unmarshal(raw, &text) // a value that is no string stays JSON, as in an /init
		if strings.HasPrefix(name, "__OW_") {
			platform[name] = text
		} else {
			own[name] = text
		}
	}
	return platform, own, nil
}

// read takes the code, and says whether it is binary.
func (b bundler) read(ctx context.Context, in io.Reader, path string) (binary bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false, fmt.Errorf("making a file for the code: %w", err)
	}
	var n int64
	err = waitWithin(ctx, 0, func() (err error) { // nobody may ever end the input
		n, err = io.Copy(f, io.LimitReader(in, maxSource+1))
		return errors.Join(err, f.Close())
	})
	switch {
	case ctx.Err() != nil:
		return false, errors.New("told to stop before all of the code had come")
	case err != nil:
		return false, fmt.Errorf("reading the code: %w", err)
	case n == 0:
		return false, errors.New("there is no code on standard input: give it as in `whiskaway runtime -compile main < hello.py > hello.zip`")
	case n > maxSource:
		return false, fmt.Errorf("the code is above the limit of %d MB", maxSource>>20)
	}
	return kind.IsBinary(path)
}

func (b bundler) pack() error {
	f, err := os.Create(b.zip())
	if err != nil {
		return fmt.Errorf("making the zip: %w", err)
	}
	if err := errors.Join(kind.WriteZip(f, b.path("bundle")), f.Close()); err != nil {
		return fmt.Errorf("making the zip: %w", err)
	}
	return nil
}
