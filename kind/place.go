package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// place puts the code into src.Dir: unpacked when it is an archive, else as one
// file called name. It returns the archive's format, or "".
func place(ctx context.Context, src Source, name string, mode os.FileMode) (archive string, err error) {
	archive, err = formatOf(src.CodePath)
	if err != nil {
		return "", ours("reading the code", err)
	}
	switch archive {
	case formatZip:
		return archive, unzip(ctx, src.CodePath, src.Dir)
	case formatTar, formatTarGz:
		return archive, untar(ctx, src.CodePath, src.Dir, archive == formatTarGz)
	}
	if err := copyFile(filepath.Join(src.Dir, name), src.CodePath, mode); err != nil {
		return "", ours("placing the code", err)
	}
	return "", nil
}

// The archives' formats, as people call them.
const (
	formatZip   = "zip"
	formatTar   = "tar"
	formatTarGz = "tar.gz"
)

// formatOf looks at the first bytes: those of a zip's local file header, or of the end
// record of an empty one; of a gzip; and the word that is in a tar's first header, by POSIX.
func formatOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var head [512]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", err
	}
	switch {
	case bytes.HasPrefix(head[:n], []byte("PK\x03\x04")), bytes.HasPrefix(head[:n], []byte("PK\x05\x06")):
		return formatZip, nil
	case bytes.HasPrefix(head[:n], []byte("\x1f\x8b\x08")):
		return formatTarGz, nil
	case n == len(head) && bytes.HasPrefix(head[257:], []byte("ustar")):
		return formatTar, nil
	}
	return "", nil
}

func copyFile(dst, src string, mode os.FileMode) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// How much we read of a function's own files, in bytes.
const (
	maxList = 1 << 20
	maxLock = 16 << 20 // a package-lock.json has some 300 bytes for each package
)

// readList reads such a file from the top of the function's directory. The error is
// fs.ErrNotExist when there is no such file.
func readList(dir, name string) ([]byte, error) { return readFile(dir, name, maxList) }

func readFile(dir, name string, limit int64) ([]byte, error) {
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, ours("reading "+name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, ours("reading "+name, err)
	}
	if int64(len(text)) > limit {
		return nil, fault("the archive's %s has more than %d bytes, which is the limit", name, limit)
	}
	return text, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// elsewhere is advice for an archive that has none of the names at its top, but one of
// them deeper, or in a directory that somebody packed instead of its content.
func elsewhere(dir string, names ...string) string {
	var found string
	errFound := errors.New("found")
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "virtualenv") {
			return fs.SkipDir
		}
		if !d.IsDir() && slices.Contains(names, d.Name()) {
			found, _ = filepath.Rel(dir, path)
			return errFound
		}
		return nil
	})
	if found == "" {
		return ""
	}
	return fmt.Sprintf(", but %q: pack what is in the directory %q, not the directory itself", found, filepath.Dir(found))
}
