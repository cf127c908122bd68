package conformance

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"maps"
	"slices"
	"testing"
)

// A code is what /init is given: text, or bytes as base64.
type code struct {
	text  string
	bytes []byte
}

func text(s string) code { return code{text: s} }

func raw(b []byte) code { return code{bytes: b} }

// fields are code and binary of an /init body.
func (c code) fields() (string, bool) {
	if c.bytes != nil {
		return base64.StdEncoding.EncodeToString(c.bytes), true
	}
	return c.text, false
}

// files are an archive's content by name.
type files map[string]string

func (f files) sorted() []string { return slices.Sorted(maps.Keys(f)) }

// zipped packs files without any mode: whoever packs on another system has none.
func zipped(f files) code {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range f.sorted() {
		w, _ := z.Create(name) // a bytes.Buffer takes all
		w.Write([]byte(f[name]))
	}
	z.Close()
	return raw(buf.Bytes())
}

// tarred packs files into a tar.gz.
func tarred(f files) code {
	var buf bytes.Buffer
	g := gzip.NewWriter(&buf)
	g.Write(plainTar(f))
	g.Close()
	return raw(buf.Bytes())
}

func plainTar(f files) []byte {
	var buf bytes.Buffer
	t := tar.NewWriter(&buf)
	for _, name := range f.sorted() {
		t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(f[name])), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR})
		t.Write([]byte(f[name]))
	}
	t.Close()
	return buf.Bytes()
}

// cut is the first half of c.
func (c code) cut() code { return raw(c.bytes[:len(c.bytes)/2]) }

// spoiled is the zip c with other bytes in the middle of its first file.
func (c code) spoiled(t *testing.T) code {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(c.bytes), int64(len(c.bytes)))
	if err != nil {
		t.Fatal(err)
	}
	at, err := z.File[0].DataOffset()
	if err != nil {
		t.Fatal(err)
	}
	spoiled := slices.Clone(c.bytes)
	for i := range int(z.File[0].CompressedSize64) / 2 {
		spoiled[int(at)+i] ^= 0x55
	}
	return raw(spoiled)
}

// linked is a zip with a symbolic link.
func linked(t *testing.T, name, target string, f files) code {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	h := &zip.FileHeader{Name: name}
	h.SetMode(0o777 | 1<<27) // fs.ModeSymlink
	w, err := z.CreateHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(target))
	for _, name := range f.sorted() {
		w, _ := z.Create(name)
		w.Write([]byte(f[name]))
	}
	z.Close()
	return raw(buf.Bytes())
}
