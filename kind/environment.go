package kind

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// An environment is a directory that tools built once from what functions
// sent: dependencies, or an executable. Functions share it, so it never changes:
//
//	NAME/...                   what was built, in place: environments cannot be moved
//	NAME/build                 only while it is built: HOME and TMPDIR of the tools
//	NAME/.whiskaway-complete   comes last: its size in bytes; its time is that of the last use
//	NAME.lock                  exclusive: it is built or removed; shared: it is in use
//
// NAME holds a hash of everything that went into it.
const complete = ".whiskaway-complete"

func lockOf(env string) string { return env + ".lock" }

// keyOf is a hash for an environment's name. The first part names the recipe, ours,
// with a number that changes when what it builds changes.
func keyOf(parts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(sum[:16])
}

// environment returns the directory of an environment. The first who asks
// builds it; the others wait.
func (s *Set) environment(ctx context.Context, envsDir, name string, b builder) (string, error) {
	envsDir, err := filepath.Abs(envsDir)
	if err != nil {
		return "", ours("finding the environments", err)
	}
	if err := os.MkdirAll(envsDir, 0o755); err != nil {
		return "", ours("making room for environments", err)
	}
	b.set, b.dir = s, filepath.Join(envsDir, name)
	unlock, err := lockToBuild(ctx, b.dir)
	if err != nil {
		return "", fmt.Errorf("waiting for an environment that is being built: %w", err)
	}
	if unlock == nil {
		return b.dir, nil
	}
	defer unlock()
	if err := b.whole(ctx); err != nil {
		removeAll(b.dir)
		os.Remove(lockOf(b.dir))
		return "", err
	}
	return b.dir, nil
}

// lockToBuild waits until the environment is complete, or else for the right to build it: unlock
// is nil when there is nothing to build. To wait for the lock alone would not do: who uses an
// environment that somebody has just completed may keep it locked for days.
func lockToBuild(ctx context.Context, env string) (unlock func(), err error) {
	for {
		if release, err := hold(ctx, env); err == nil {
			release()
			return nil, nil
		}
		unlock, err := tryLock(lockOf(env), exclusive)
		if err == nil && touch(env) == nil { // completed between the two
			unlock()
			return nil, nil
		}
		if !errors.Is(err, errLocked) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPause):
		}
	}
}

// A builder builds one environment.
type builder struct {
	set      *Set
	dir      string   // empty at first; the tools may write here, and nowhere else
	readable []string // what they need to see
	log      func(string)
	doing    string // "installing the function's requirements"
	build    func(context.Context, builder) error
}

// temp is the tools' HOME and TMPDIR, and their working directory.
func (b builder) temp() string { return filepath.Join(b.dir, "build") }

// whole builds from nothing to the mark. The lock is held.
func (b builder) whole(ctx context.Context) error {
	removeAll(b.dir) // what a build left that was cut off
	if err := os.MkdirAll(b.temp(), 0o755); err != nil {
		return ours("making room for a build", err)
	}
	if err := b.build(ctx, b); err != nil {
		return err
	}
	if err := removeAll(b.temp()); err != nil {
		return ours("clearing up after a build", err)
	}
	return finishEnv(b.dir)
}

// run runs one tool. What it needs to see besides the interpreter, and its own
// environment, is in c.
func (b builder) run(ctx context.Context, c Command) (out string, err error) {
	if c.Dir == "" {
		c.Dir = b.temp()
	}
	c.Readable = slices.Concat(b.readable, c.Readable)
	c.Writable = []string{b.dir}
	c.Env = append(toolEnv(os.Environ(), b.set.path, b.temp()), c.Env...)
	w := &lineWriter{log: b.log}
	err = b.set.tool(ctx, c, w)
	return w.text(), err
}

// failed is the function's error with the tool's words, unless it was our own
// patience that ended.
func (b builder) failed(ctx context.Context, message, out string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", b.doing, context.Cause(ctx))
	}
	if out == "" {
		out = err.Error() + "\n"
	}
	return &function.Error{Code: function.CodeInitFailed, Message: message, Logs: out, Unbuilt: true}
}

// finishEnv closes an environment to changes, and marks it as complete: not
// before, as others use it from then on.
func finishEnv(env string) error {
	if err := lockDown(env); err != nil {
		return ours("making an environment read-only", err)
	}
	size := strconv.FormatInt(treeSize(env), 10)
	if err := os.WriteFile(filepath.Join(env, complete), []byte(size), 0o444); err != nil {
		return ours("marking the environment as complete", err)
	}
	if err := os.Chmod(env, 0o555); err != nil {
		return ours("making an environment read-only", err)
	}
	return nil
}

// lockDown makes everything in env ours, readable for all and writable for none; but
// env itself stays writable. The tools have ended, so nothing changes meanwhile.
func lockDown(env string) error {
	return filepath.WalkDir(env, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
			if err := os.Lchown(path, os.Geteuid(), os.Getegid()); err != nil {
				return err
			}
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			return nil
		case path == env:
			return os.Chmod(path, 0o755)
		case d.IsDir() || info.Mode()&0o111 != 0:
			return os.Chmod(path, 0o555)
		}
		return os.Chmod(path, 0o444)
	})
}

// treeSize is what a directory takes on the disk, in bytes, as far as it can be read.
func treeSize(dir string) (sum int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += stat.Blocks * 512 // whatever the file system's blocks are, see stat(2)
			}
		}
		return nil
	})
	return sum
}

// removeAll removes a directory even where it was made read-only.
func removeAll(dir string) error {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// touch makes now the time of an environment's last use. The error is fs.ErrNotExist
// when there is no complete one.
func touch(env string) error {
	now := time.Now()
	return os.Chtimes(filepath.Join(env, complete), now, now)
}
