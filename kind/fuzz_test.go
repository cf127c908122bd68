package kind

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

func FuzzUnzip(f *testing.F) {
	for _, mode := range []fs.FileMode{0o644, fs.ModeDir | 0o755, fs.ModeSymlink | 0o777, fs.ModeDevice | 0o666} {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, name := range []string{"a", "b/c", "../d", "/e"} {
			h := &zip.FileHeader{Name: name}
			h.SetMode(mode)
			if out, err := w.CreateHeader(h); err == nil {
				out.Write([]byte("../b"))
			}
		}
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzUnpack(t, data, unzip) })
}

func FuzzUntar(f *testing.F) {
	for _, kind := range []byte{tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeChar} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, name := range []string{"a", "b/c", "../d", "/e"} {
			w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Linkname: "a", Mode: 0o644})
		}
		w.Close()
		f.Add(b.Bytes())
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		z.Write(b.Bytes())
		z.Close()
		f.Add(zipped.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzUnpack(t, data, func(ctx context.Context, archive, dir string) error {
			return untar(ctx, archive, dir, bytes.HasPrefix(data, []byte("\x1f\x8b")))
		})
	})
}

// fuzzUnpack checks what must hold for any archive: nothing is written or led outside, and an
// error is one for the function's author.
func fuzzUnpack(t *testing.T, data []byte, unpack func(ctx context.Context, archive, dir string) error) {
	base := t.TempDir()
	archive, dir := filepath.Join(base, "archive"), filepath.Join(base, "dir")
	if err := errors.Join(os.WriteFile(archive, data, 0o644), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	err := unpack(t.Context(), archive, dir)
	var ours *function.Error
	if err != nil && (!errors.As(err, &ours) || ours.Code != function.CodeInitFailed) {
		t.Errorf("the error is %v", err)
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 2 {
		t.Errorf("beside the directory: %v, %v", entries, err)
	}
	if got, err := os.ReadFile(archive); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the archive has changed: %v", err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if real, err := filepath.EvalSymlinks(path); err == nil && real != dir && !strings.HasPrefix(real, dir+"/") {
				t.Errorf("%s leads to %s", path, real)
			}
		} else if !d.IsDir() && !d.Type().IsRegular() {
			t.Errorf("%s is %v", path, d.Type())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
