package kind

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
)

// prepareNative takes an executable that speaks the plain ActionLoop, or an archive
// with one called exec.
func (s *Set) prepareNative(ctx context.Context, src Source) (Command, error) {
	archive, err := place(ctx, src, "exec", 0o755)
	if err != nil {
		return Command{}, err
	}
	return s.executable(src, archive)
}

// executable is the command for the exec that was placed.
func (s *Set) executable(src Source, archive string) (Command, error) {
	path := filepath.Join(src.Dir, "exec")
	info, err := os.Stat(path)
	if archive != "" && (err != nil || !info.Mode().IsRegular()) {
		return Command{}, fault("the %s has no executable called exec at its top%s", archive, elsewhere(src.Dir, "exec"))
	}
	if !src.Binary && !isProgram(path) {
		return Command{}, fault("the code is text of no known language: it is no script that begins with #!, and this runtime was not told the language (the operator sets WHISKAWAY_KIND or OW_COMPILER)")
	}
	if err := s.checkExecutionEnv(src.Dir); err != nil {
		return Command{}, err
	}
	if err := os.Chmod(path, 0o755); err != nil {
		return Command{}, ours("making the code executable", err)
	}
	return Command{Path: path, Env: s.baseEnv(src, path), MayNotAck: !s.proxy.MustAck}, nil
}

// isPrecompiled reports whether an archive of any kind holds what was compiled before it was sent, as OpenWhisk
// has it: that runs as it is.
func isPrecompiled(src Source, archive string) bool {
	return archive != "" && isProgram(filepath.Join(src.Dir, "exec"))
}

// precompiled is the command for such an archive's exec. What it was made for finds its interpreter.
func (s *Set) precompiled(src Source, archive string, i interpreter) (Command, error) {
	c, err := s.executable(src, archive)
	if err != nil {
		return Command{}, err
	}
	c.Env, c.Readable = s.baseEnv(src, i.Path), i.Readable
	return c, nil
}

// isELF reports whether a file is an executable as Linux has them.
func isELF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && bytes.Equal(magic[:], []byte("\x7fELF"))
}
