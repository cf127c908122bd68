package kind

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// unzip unpacks a zip into dir.
func unzip(ctx context.Context, archive, dir string) error {
	headers, err := countHeaders(ctx, archive)
	if ctx.Err() != nil {
		return fmt.Errorf("unpacking the code: %w", context.Cause(ctx))
	}
	if err != nil {
		return ours("reading the zip", err)
	}
	if headers > maxEntries {
		return fault("the zip has %d entries, the limit is %d", headers, maxEntries)
	}
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fault("the zip cannot be read (%v); pack it again, and send it whole", err)
	}
	defer r.Close()
	u, err := newUnpacker(ctx, archive, dir, formatZip)
	if err != nil {
		return err
	}
	defer u.close()
	for _, f := range r.File {
		if err := u.zipEntry(f); err != nil {
			return err
		}
	}
	return u.makeLinks()
}

// countHeaders counts what could be the header of an entry, wherever it stands. The zip
// package keeps them all in memory, as many as follow each other and whatever count the zip
// says; so they are counted before. A zip that holds others uncompressed counts theirs too.
func countHeaders(ctx context.Context, archive string) (n int, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	signature := []byte("PK\x01\x02") // APPNOTE.TXT 4.3.12
	buf := make([]byte, 1<<20)
	have := 0 // bytes left over from the last piece: the beginning of a signature, perhaps
	for {
		more, err := patient{ctx, f}.Read(buf[have:])
		have += more
		n += bytes.Count(buf[:have], signature)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		keep := min(have, len(signature)-1)
		copy(buf, buf[have-keep:have])
		have = keep
	}
}

func (u *unpacker) zipEntry(f *zip.File) error {
	switch mode := f.Mode(); {
	case mode.IsDir():
		return u.dir(f.Name)
	case mode&fs.ModeSymlink != 0:
		in, err := f.Open()
		if err != nil {
			return fault("the zip's entry %q cannot be read: %v", shortened(f.Name), err)
		}
		defer in.Close()
		target, err := io.ReadAll(io.LimitReader(in, maxTarget+1))
		if err != nil {
			return u.check(f.Name, err)
		}
		return u.link(f.Name, string(target))
	case mode.IsRegular():
		in, err := f.Open()
		if err != nil {
			return fault("the zip's entry %q cannot be read: %v", shortened(f.Name), err)
		}
		defer in.Close()
		return u.file(f.Name, f.Mode()&0o111 != 0, in)
	}
	return fault("the zip's entry %q is neither a file, a directory nor a link", shortened(f.Name))
}
