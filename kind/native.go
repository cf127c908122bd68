package kind

import (
	"context"
	"os"
	"path/filepath"
)

// prepareNative takes an executable that speaks the plain ActionLoop, or a zip
// with one called exec.
func (s *Set) prepareNative(ctx context.Context, src Source) (Command, error) {
	unpacked, err := place(ctx, src, "exec", 0o755)
	if err != nil {
		return Command{}, err
	}
	path := filepath.Join(src.Dir, "exec")
	info, err := os.Stat(path)
	if unpacked && (err != nil || !info.Mode().IsRegular()) {
		return Command{}, fault("the zip has no executable called exec at its top")
	}
	if err := os.Chmod(path, 0o755); err != nil {
		return Command{}, ours("making the code executable", err)
	}
	return Command{Path: path, Env: s.baseEnv(src, s.path), MayNotAck: true}, nil
}
