package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// RemoveAll removes what commands have left at path, whatever they have made of it: directories that
// are closed to their own user, or so deep that os.RemoveAll, which holds one open for each level, would
// use up our file descriptors. It follows no link out of path. Nothing there is no error.
func RemoveAll(path string) error {
	parent, err := os.OpenRoot(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	defer parent.Close()
	return RemoveIn(parent, filepath.Base(path))
}

// RemoveIn is RemoveAll of a path in root.
func RemoveIn(root *os.Root, path string) error {
	if err := root.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	top, err := openClosed(root, path)
	if err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	defer top.Close()
	if err := (&remover{top: top}).emptyAll(); err != nil {
		return fmt.Errorf("removing what is in %s: %w", path, err)
	}
	if err := root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

// A remover moves every directory that is deeper to the top before it empties it, so that none
// is ever deep.
type remover struct {
	top   *os.Root
	moved int // directories
	done  int // entries that were removed or moved
}

// emptyAll goes on as long as that leads anywhere: what is moved may be missed at first.
func (r *remover) emptyAll() error {
	for {
		before := r.done
		err := r.empty(".")
		if r.done == before {
			return err
		}
	}
}

// empty removes or moves what is in a directory, which is the top itself or directly in it. The
// error is the last of those that kept it from some.
func (r *remover) empty(dir string) (failed error) {
	d, err := r.top.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if err := r.remove(dir, name); err != nil {
				failed = err
				continue
			}
			r.done++
		}
		if errors.Is(err, io.EOF) {
			return failed
		}
		if err != nil {
			return err
		}
	}
}

func (r *remover) remove(dir, name string) error {
	path := filepath.Join(dir, name)
	err := r.top.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if info, statErr := r.top.Lstat(path); statErr != nil || !info.IsDir() {
		return err
	}
	r.top.Chmod(path, 0o700) // before it is read, or moved
	if dir != "." {
		r.moved++
		return r.top.Rename(path, ".removed-"+strconv.Itoa(r.moved))
	}
	if err := r.empty(path); err != nil {
		return err
	}
	return r.top.Remove(path)
}

// openClosed opens a directory in root, also one that is closed to its own user.
func openClosed(root *os.Root, path string) (*os.Root, error) {
	info, err := root.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, errors.New("it is no directory, and cannot be removed")
	}
	if info.Mode()&0o700 != 0o700 {
		root.Chmod(path, 0o700)
	}
	return root.OpenRoot(path)
}
