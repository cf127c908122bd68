package kind

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What an archive may hold. Honest ones stay far below: large node_modules have
// some 50,000 files, and text shrinks to a tenth.
const (
	maxEntries  = 100_000
	maxUnpacked = 4 << 30  // bytes
	freeRatio   = 64 << 20 // bytes up to which no ratio is asked for
	maxRatio    = 200      // unpacked to packed
	maxTarget   = 4096     // bytes of a link's target
)

// unzip unpacks an archive into dir. os.Root keeps every file inside; links are
// made last, so that nothing is written through one.
func unzip(ctx context.Context, archive, dir string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fault("the zip cannot be read: %v", err)
	}
	defer r.Close()
	if len(r.File) > maxEntries {
		return fault("the zip has %d entries, the limit is %d", len(r.File), maxEntries)
	}
	info, err := os.Stat(archive)
	if err != nil {
		return ours("reading the zip", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ours("opening the function's directory", err)
	}
	defer root.Close()
	u := unzipper{root: root, left: min(maxUnpacked, max(freeRatio, info.Size()*maxRatio)), links: map[string]string{}}
	for _, f := range r.File {
		if ctx.Err() != nil {
			return fmt.Errorf("unpacking the code: %w", ctx.Err())
		}
		if err := u.entry(f); err != nil {
			return err
		}
	}
	return u.makeLinks()
}

type unzipper struct {
	root  *os.Root
	left  int64 // bytes that may still be unpacked
	links map[string]string
}

func (u *unzipper) entry(f *zip.File) error {
	name := path.Clean(f.Name)
	if strings.ContainsAny(f.Name, "\\\x00") || !filepath.IsLocal(f.Name) {
		return fault("the zip's entry %q would leave the function's directory", f.Name)
	}
	switch mode := f.Mode(); {
	case mode.IsDir():
		return u.check(f.Name, u.root.MkdirAll(name, 0o755))
	case mode&fs.ModeSymlink != 0:
		return u.link(f, name)
	case mode.IsRegular():
		return u.file(f, name)
	}
	return fault("the zip's entry %q is neither a file, a directory nor a link", f.Name)
}

func (u *unzipper) file(f *zip.File, name string) error {
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return u.check(f.Name, err)
	}
	mode := fs.FileMode(0o644)
	if f.Mode()&0o111 != 0 {
		mode = 0o755
	}
	in, err := f.Open()
	if err != nil {
		return fault("the zip's entry %q cannot be read: %v", f.Name, err)
	}
	defer in.Close()
	out, err := u.root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return u.check(f.Name, err)
	}
	n, err := io.Copy(out, io.LimitReader(in, u.left+1)) // the size in the header may lie
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if u.left -= n; u.left < 0 {
		return fault("the zip unpacks to more than is allowed (%d GB, and %d times its own size)", maxUnpacked>>30, maxRatio)
	}
	return u.check(f.Name, err)
}

// check tells a bad archive from a bad disk, whose errors name a path.
func (u *unzipper) check(name string, err error) error {
	var file *fs.PathError
	var link *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrInvalid), strings.Contains(err.Error(), "director"), strings.Contains(err.Error(), "name too long"):
		return fault("the zip's entry %q cannot be unpacked: %v", name, err)
	case !errors.As(err, &file) && !errors.As(err, &link):
		return fault("the zip's entry %q is damaged: %v", name, err)
	}
	return ours("unpacking "+name, err)
}

func (u *unzipper) link(f *zip.File, name string) error {
	in, err := f.Open()
	if err != nil {
		return fault("the zip's entry %q cannot be read: %v", f.Name, err)
	}
	defer in.Close()
	target, err := io.ReadAll(io.LimitReader(in, maxTarget+1))
	if err != nil || len(target) > maxTarget {
		return fault("the zip's link %q cannot be read", f.Name)
	}
	if !staysInside(name, string(target)) {
		return fault("the zip's link %q points to %q, outside the function's directory", f.Name, target)
	}
	u.links[name] = string(target)
	return nil
}

// staysInside reports whether a link called name may point to target. Only
// leading ".." are allowed, because after the name of another link ".." would
// not mean what it says.
func staysInside(name, target string) bool {
	if target == "" || path.IsAbs(target) || strings.ContainsRune(target, 0) {
		return false
	}
	parts := strings.Split(target, "/")
	up := 0
	for up < len(parts) && parts[up] == ".." {
		up++
	}
	return up <= strings.Count(name, "/") && !slices.Contains(parts[up:], "..")
}

func (u *unzipper) makeLinks() error {
	for name, target := range u.links {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if _, ok := u.links[parent]; ok {
				return fault("the zip's link %q lies below another link", name)
			}
		}
		if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return u.check(name, err)
		}
		if err := u.root.Symlink(target, name); err != nil {
			return u.check(name, err)
		}
	}
	return nil
}
