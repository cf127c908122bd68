package kind

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
)

// untar unpacks a tar, or a tar.gz, into dir.
func untar(ctx context.Context, archive, dir string, zipped bool) error {
	format := formatTar
	if zipped {
		format = formatTarGz
	}
	f, err := os.Open(archive)
	if err != nil {
		return ours("reading the "+format, err)
	}
	defer f.Close()
	u, err := newUnpacker(ctx, archive, dir, format)
	if err != nil {
		return err
	}
	defer u.close()
	var in io.Reader = patient{ctx, f}
	if zipped {
		in, err = gzip.NewReader(in)
		if err != nil {
			return u.unreadable(err)
		}
	}
	// Headers are unpacked too, and some may be large.
	err = u.tarEntries(tar.NewReader(&bounded{in, u.left + maxHeaders}))
	if err != nil {
		return err
	}
	return u.makeLinks()
}

// maxHeaders is how many bytes all headers of a tar may have: an ordinary one has 512.
const maxHeaders = 4 * 512 * maxEntries

// errTooMuch says that a bounded reader has reached its bound.
var errTooMuch = errors.New("it is too large")

// bounded is a reader with a bound, which it is an error to reach.
type bounded struct {
	in   io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (u *unpacker) tarEntries(r *tar.Reader) error {
	for {
		h, err := r.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, errTooMuch):
			return u.tooMuch()
		case err != nil:
			return u.unreadable(err)
		}
		if err := u.tarEntry(h, r); err != nil {
			return err
		}
	}
}

// unreadable is for what is not the fault of one entry.
func (u *unpacker) unreadable(err error) error {
	if u.ctx.Err() != nil {
		return u.check("", err)
	}
	return fault("the %s cannot be read (%v); pack it again, and send it whole", u.format, err)
}

func (u *unpacker) tarEntry(h *tar.Header, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return u.dir(h.Name)
	case tar.TypeReg:
		return u.file(h.Name, h.Mode&0o111 != 0, r)
	case tar.TypeSymlink:
		return u.link(h.Name, h.Linkname)
	case tar.TypeLink:
		return u.hardLink(h.Name, h.Linkname)
	case tar.TypeXGlobalHeader:
		return u.count() // git archive's comment
	}
	return fault("the %s's entry %q is neither a file, a directory nor a link", u.format, shortened(h.Name))
}
