package kind

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// place puts the code into src.Dir: unpacked when it is a zip, else as one
// file called name. It reports which of them it was.
func place(ctx context.Context, src Source, name string, mode os.FileMode) (unpacked bool, err error) {
	archive, err := isZip(src.CodePath)
	if err != nil {
		return false, ours("reading the code", err)
	}
	if archive {
		return true, unzip(ctx, src.CodePath, src.Dir)
	}
	if err := copyFile(filepath.Join(src.Dir, name), src.CodePath, mode); err != nil {
		return false, ours("placing the code", err)
	}
	return false, nil
}

// isZip looks at the first bytes: a local file header, or the end record of an
// empty zip.
func isZip(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [4]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	return bytes.Equal(head[:n], []byte("PK\x03\x04")) || bytes.Equal(head[:n], []byte("PK\x05\x06")), nil
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

// maxList bounds the files of a function that we read ourselves, in bytes.
const maxList = 1 << 20

// readList reads such a file from the top of the function's directory. The error is
// fs.ErrNotExist when there is no such file.
func readList(dir, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, ours("reading "+name, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fs.ErrNotExist
	}
	text, err := io.ReadAll(io.LimitReader(f, maxList+1))
	if err != nil {
		return nil, ours("reading "+name, err)
	}
	if len(text) > maxList {
		return nil, fault("the zip's %s has more than %d bytes, which is the limit", name, maxList)
	}
	return text, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
