package kind

import (
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
	maxEntries  = 100_000  // directories that no entry names are counted too
	maxUnpacked = 4 << 30  // bytes
	freeRatio   = 64 << 20 // bytes up to which no ratio is asked for
	maxRatio    = 200      // unpacked to packed
	maxTarget   = 4096     // bytes of a link's target, Linux's PATH_MAX
	maxName     = 4096     // bytes of an entry's whole name
	maxPart     = 255      // bytes of one part of it, Linux's NAME_MAX
	maxDepth    = 50       // parts of a name: each costs time, whatever is in it
)

// An unpacker puts an archive's entries into a directory, whatever its
// format. os.Root keeps every file inside; symbolic links are made last, so that nothing is
// written through one.
type unpacker struct {
	ctx     context.Context // of this one unpacking
	format  string
	root    *os.Root
	left    int64 // bytes that may still be unpacked
	entries int
	dirs    map[string]bool // that are there
	links   map[string]string
}

func newUnpacker(ctx context.Context, archive, dir, format string) (*unpacker, error) {
	info, err := os.Stat(archive)
	if err != nil {
		return nil, ours("reading the "+format, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, ours("opening the function's directory", err)
	}
	return &unpacker{ctx: ctx, format: format, root: root, left: unpackedLimit(info.Size()),
		dirs: map[string]bool{".": true}, links: map[string]string{}}, nil
}

// unpackedLimit is how many bytes an archive of that size may unpack to.
func unpackedLimit(packed int64) int64 {
	return min(maxUnpacked, max(freeRatio, packed*maxRatio))
}

func (u *unpacker) close() { u.root.Close() }

// count bounds how much an archive can make us do.
func (u *unpacker) count() error {
	if u.entries++; u.entries > maxEntries {
		return fault("the %s has more than %d entries, which is the limit", u.format, maxEntries)
	}
	if u.ctx.Err() != nil {
		return fmt.Errorf("unpacking the code: %w", context.Cause(u.ctx))
	}
	return nil
}

// name checks an entry's name, and returns it clean. Its directory is there afterwards.
func (u *unpacker) name(given string) (string, error) {
	if err := u.count(); err != nil {
		return "", err
	}
	if strings.ContainsAny(given, "\\\x00") || !filepath.IsLocal(given) {
		return "", fault("the %s's entry %q would leave the function's directory; pack it again, with no name that begins with / or has .. or a backslash in it", u.format, shortened(given))
	}
	name := path.Clean(given)
	parts := strings.Split(name, "/")
	if len(name) > maxName || len(parts) > maxDepth || slices.ContainsFunc(parts, func(p string) bool { return len(p) > maxPart }) {
		return "", fault("the %s's entry %q has a name that is too long", u.format, shortened(given))
	}
	return name, u.mkdir(path.Dir(name))
}

// shortened keeps a hostile name from filling the error.
func shortened(name string) string {
	if len(name) > 200 {
		return name[:200] + "..."
	}
	return name
}

// mkdir makes a directory and those above it.
func (u *unpacker) mkdir(name string) error {
	if u.dirs[name] {
		return nil
	}
	if err := u.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if err := u.count(); err != nil {
		return err
	}
	if err := u.check(name, u.root.Mkdir(name, 0o755)); err != nil {
		return err
	}
	u.dirs[name] = true
	return nil
}

func (u *unpacker) dir(given string) error {
	name, err := u.name(given)
	if err != nil {
		return err
	}
	return u.mkdir(name)
}

// file unpacks one file. Of two with one name the second one stays.
func (u *unpacker) file(given string, executable bool, in io.Reader) error {
	name, err := u.name(given)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	out, err := u.root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return u.check(given, err)
	}
	n, err := io.Copy(out, io.LimitReader(patient{u.ctx, in}, u.left+1)) // the size in the header may lie
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if u.left -= n; u.left < 0 || errors.Is(err, errTooMuch) {
		return u.tooMuch()
	}
	return u.check(given, err)
}

func (u *unpacker) tooMuch() error {
	return fault("the %s unpacks to more than is allowed (%d GB, and %d times its own size)", u.format, maxUnpacked>>30, maxRatio)
}

// patient is a reader that ends with its context.
type patient struct {
	ctx context.Context
	in  io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	return p.in.Read(b)
}

// check tells a bad archive from a bad disk, whose errors name a path.
func (u *unpacker) check(name string, err error) error {
	var file *fs.PathError
	var link *os.LinkError
	switch {
	case err == nil:
		return nil
	case u.ctx.Err() != nil:
		return fmt.Errorf("unpacking the code: %w", context.Cause(u.ctx))
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrInvalid), errors.Is(err, fs.ErrNotExist),
		strings.Contains(err.Error(), "director"), strings.Contains(err.Error(), "name too long"):
		return fault("the %s's entry %q cannot be unpacked: %v", u.format, shortened(name), withoutPath(err))
	case !errors.As(err, &file) && !errors.As(err, &link):
		return fault("the %s's entry %q is damaged (%v); pack it again, and send it whole", u.format, shortened(name), err)
	}
	return ours("unpacking "+shortened(name), err)
}

// withoutPath is the cause alone: the name is said already, and may be long.
func withoutPath(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// link keeps a symbolic link for later.
func (u *unpacker) link(given, target string) error {
	name, err := u.name(given)
	if err != nil {
		return err
	}
	switch {
	case isVirtualenvPython(name):
		return nil // leads to the Python of the machine that made it; ours is used
	case len(target) > maxTarget:
		return fault("the %s's link %q has a target that is too long", u.format, shortened(given))
	case !staysInside(name, target):
		return fault("the %s's link %q points to %q, outside the function's directory; pack what it points to instead", u.format, shortened(given), shortened(target))
	}
	u.links[name] = target
	return nil
}

// isVirtualenvPython reports whether a link is one of those that a virtualenv has to its Python.
func isVirtualenvPython(name string) bool {
	return strings.HasPrefix(name, "virtualenv/bin/python") && strings.Count(name, "/") == 2
}

// hardLink makes another name for a file that was unpacked before.
func (u *unpacker) hardLink(given, target string) error {
	name, err := u.name(given)
	if err != nil {
		return err
	}
	if !filepath.IsLocal(target) {
		return fault("the %s's link %q points to %q, outside the function's directory; pack what it points to instead", u.format, shortened(given), shortened(target))
	}
	if info, err := u.root.Lstat(target); err != nil || !info.Mode().IsRegular() {
		return fault("the %s's link %q points to %q, which is no file that came before", u.format, shortened(given), shortened(target))
	}
	return u.check(given, u.root.Link(target, name))
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

func (u *unpacker) makeLinks() error {
	for name := range u.links {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if _, ok := u.links[parent]; ok {
				return fault("the %s's link %q lies below another link", u.format, shortened(name))
			}
		}
	}
	for name, target := range u.links {
		if err := u.check(name, u.root.Symlink(target, name)); err != nil {
			return err
		}
	}
	return nil
}
