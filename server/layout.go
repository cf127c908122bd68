package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/sandbox"
)

// A layout is the server's data directory:
//
//	id                     the server's ID, for good
//	lock                   held by the process that uses the directory
//	code/                  uploaded code, see package codestore
//	envs/                  environments of dependencies, shared by functions
//	launchers/             our launchers
//	functions/ID-N/code    a function's unpacked code, its working directory
//	functions/ID-N/tmp/M   the TMPDIR of its worker M
//	cache/                 what functions keep, by namespace, see caches
type layout struct {
	dir string
	// envs is elsewhere when several servers share it.
	envs string
}

func newLayout(dir, envs string) (layout, error) {
	dir, err := filepath.Abs(dir) // workers have other working directories
	if err != nil {
		return layout{}, err
	}
	if envs == "" {
		envs = filepath.Join(dir, "envs")
	}
	envs, err = filepath.Abs(envs)
	return layout{dir: dir, envs: envs}, err
}

func (l layout) code() string      { return filepath.Join(l.dir, "code") }
func (l layout) launchers() string { return filepath.Join(l.dir, "launchers") }
func (l layout) functions() string { return filepath.Join(l.dir, "functions") }
func (l layout) caches() string    { return filepath.Join(l.dir, "cache") }

// functionDir is a new function's directory. The number tells it from an
// earlier one's of the same function, which may be about to be removed. The ID is cut
// short, since a unix socket below TMPDIR must not have more than 107 characters.
func (l layout) functionDir(id function.ID, number int64) string {
	return filepath.Join(l.functions(), fmt.Sprintf("%s-%d", id.String()[:12], number))
}

func codeDir(functionDir string) string { return filepath.Join(functionDir, "code") }
func tempDir(functionDir string) string { return filepath.Join(functionDir, "tmp") }

// prepare makes the directories, and removes what an earlier server left of
// its functions. Code and environments stay. The lock must be held.
func (l layout) prepare() error {
	if err := removeAll(l.functions()); err != nil {
		return fmt.Errorf("removing what an earlier server left: %w", err)
	}
	// Functions with users of their own pass through these, or read what lies below.
	modes := map[string]os.FileMode{l.functions(): 0o711, l.caches(): 0o711, l.launchers(): 0o755, l.envs: 0o755}
	for dir, mode := range modes {
		if err := os.MkdirAll(dir, mode); err != nil {
			return err
		}
		if err := os.Chmod(dir, mode); err != nil {
			return err
		}
	}
	return nil
}

// open lets other users pass through the data directory, and says which of the directories above it
// does not.
func (l layout) open() error {
	if err := os.Chmod(l.dir, 0o711); err != nil {
		return err
	}
	for dir := filepath.Dir(l.dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("other users cannot pass through %s; put the data directory elsewhere, such as below /var/lib", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// lock makes the data directory ours, until the file is closed or this process ends.
func (l layout) lock() (*os.File, error) {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("the data directory %s is in use by another server; stop that one, or give this one a directory of its own", l.dir)
	}
	return nil, fmt.Errorf("locking %s: %w", l.dir, err)
}

// serverID returns the directory's ID, and makes it at the first time.
func (l layout) serverID() (string, error) {
	path := filepath.Join(l.dir, "id")
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var b [16]byte
	rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	temp := path + ".new" // the lock is held, so nobody else writes it
	if err := os.WriteFile(temp, []byte(id+"\n"), 0o600); err != nil {
		return "", err
	}
	return id, os.Rename(temp, path)
}

// removeAll removes what functions have left, whatever they have made of it.
func removeAll(dir string) error { return sandbox.RemoveAll(dir) }
