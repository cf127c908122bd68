package test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	bytesOf "encoding/binary"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A packed is one entry of a zip.
type packed struct {
	name, text string
	mode       fs.FileMode // 0: a plain file
}

func zipEntries(t *testing.T, entries ...packed) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil && e.text != "" {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// patched returns b with what follows the last mark, at offset, replaced.
func patched(t *testing.T, b []byte, mark string, offset int, with ...byte) []byte {
	t.Helper()
	i := bytes.LastIndex(b, []byte(mark))
	if i < 0 || i+offset+len(with) > len(b) {
		t.Fatalf("there is no %q in the archive", mark)
	}
	b = bytes.Clone(b)
	copy(b[i+offset:], with)
	return b
}

// The records of a zip, by their signatures (APPNOTE.TXT of PKWARE, 4.3).
const (
	centralRecord = "PK\x01\x02"
	endRecord     = "PK\x05\x06"
)

// A badArchive is code that cannot become a function.
type badArchive struct {
	name, kind string
	code       []byte
	text       bool // it is sent as source text
	tellsPath  bool // the error names a path of the server, as of today
	words      string
}

const goodPy = "def main(args):\n    return args\n"

func badArchives(t *testing.T) []badArchive {
	py := func(name, words string, code []byte) badArchive {
		return badArchive{name: name, kind: "python:3", code: code, words: words}
	}
	with := func(name, words string, e ...packed) badArchive {
		return py(name, words, zipEntries(t, append([]packed{{"__main__.py", goodPy, 0}}, e...)...))
	}
	goodTar := tarOf(t, tar.Header{Name: "__main__.py", Size: 600})
	inTar := func(name, words string, headers ...tar.Header) badArchive {
		return py("a tar with "+name, words, tarOf(t, append([]tar.Header{{Name: "__main__.py"}}, headers...)...))
	}
	good := zipEntries(t, packed{"__main__.py", goodPy + strings.Repeat("# filler\n", 200), 0})
	return []badArchive{
		py("empty", "sent as binary", nil),
		py("one byte", "sent as binary", []byte("P")),
		py("only the signature", "cannot be read", []byte("PK\x03\x04")),
		py("truncated", "cannot be read", good[:len(good)/2]),
		py("without its end", "cannot be read", good[:len(good)-1]),
		py("without its beginning", "sent as binary", good[10:]),
		py("a wrong checksum", "checksum", patched(t, good, centralRecord, 16, 1, 2, 3, 4)),
		py("damaged data", "damaged", patched(t, good, "__main__.py"+string(good[41:45]), 11, 0xff, 0xff, 0xff, 0xff)),
		py("a compression that nobody knows", "algorithm", patched(t, good, centralRecord, 10, 99, 0)),
		py("fewer bytes than it says", "damaged", patched(t, good, centralRecord, 24, 0xff, 0xff, 0, 0)),
		py("a zip64 size that lies", "cannot be read", patched(t, good, centralRecord, 20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
		{name: "a directory beyond its end", kind: "python:3", code: patched(t, good, endRecord, 16, 0xff, 0xff, 0xff, 0x7f), tellsPath: true, words: "cannot be read"},
		py("more entries than there are", "cannot be read", patched(t, good, endRecord, 8, 9, 0, 9, 0)),
		py("encrypted", "", encrypted(t)),
		py("an empty tar", "sent as binary", tarOf(t)[:0]),
		py("a truncated tar", "EOF", goodTar[:700]),
		py("a tar with a wrong checksum", "header", patched(t, goodTar, "ustar", -50, 'x')),
		py("a tar without a main file", "no __main__.py", tarOf(t, tar.Header{Name: "other.py"})),
		inTar("a way out", "would leave", tar.Header{Name: "../evil"}),
		inTar("an absolute name", "would leave", tar.Header{Name: "/tmp/evil"}),
		inTar("a link out", "outside the function's directory", tar.Header{Name: "evil", Typeflag: tar.TypeSymlink, Linkname: "../.."}),
		inTar("a hard link out", "outside the function's directory", tar.Header{Name: "evil", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}),
		inTar("a hard link to nothing", "no file that came before", tar.Header{Name: "evil", Typeflag: tar.TypeLink, Linkname: "later"}),
		inTar("a hard link to a link", "no file that came before", tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "."}, tar.Header{Name: "evil", Typeflag: tar.TypeLink, Linkname: "l/x"}),
		inTar("a device", "neither a file", tar.Header{Name: "evil", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}),
		inTar("a pipe", "neither a file", tar.Header{Name: "evil", Typeflag: tar.TypeFifo}),
		py("a gzip of nothing", "tar.gz", gzipped(t, nil)[:10]),
		py("a truncated tar.gz", "tar.gz", gzipped(t, goodTar)[:60]),
		py("a gzip of what is no tar", "tar.gz", gzipped(t, []byte(strings.Repeat(goodPy, 50)))),
		py("a bomb in a tar.gz", "unpacks to more", gzipped(t, tarOf(t, tar.Header{Name: "zeros", Size: 65 << 20}))),
		py("7z", "sent as binary", []byte("7z\xbc\xaf\x27\x1c\x00\x04")),
		py("no main file", "no __main__.py", zipEntries(t, packed{"other.py", goodPy, 0})),
		py("a bomb", "unpacks to more", zipEntries(t, packed{"__main__.py", goodPy, 0}, packed{"zeros", strings.Repeat("\x00", 65<<20), 0})),
		py("too many entries", "100001 entries", manyEntries(100_001)),
		with("a way out", "would leave", packed{"../evil", "x", 0}),
		with("a way out and in again", "would leave", packed{"../functions/evil", "x", 0}),
		with("an absolute name", "would leave", packed{"/tmp/evil", "x", 0}),
		with("a backslash", "would leave", packed{`..\evil`, "x", 0}),
		with("a zero byte in a name", "would leave", packed{"evil\x00.py", "x", 0}),
		with("an empty name", "would leave", packed{"", "x", 0}),
		with("a link out", "outside the function's directory", packed{"evil", "../../..", fs.ModeSymlink | 0o777}),
		with("an absolute link", "outside the function's directory", packed{"evil", "/etc/passwd", fs.ModeSymlink | 0o777}),
		with("a way out through a link", "evil", packed{"evil", ".", fs.ModeSymlink | 0o777}, packed{"evil/x", "sub", fs.ModeSymlink | 0o777}),
		with("a link with a target without end", "target", packed{"evil", strings.Repeat("x", 10_000), fs.ModeSymlink | 0o777}),
		with("a device", "neither a file", packed{"evil", "", fs.ModeDevice | 0o666}),
		with("a pipe", "neither a file", packed{"evil", "", fs.ModeNamedPipe | 0o666}),
		with("a file where a directory is", "cannot be unpacked", packed{"d/x", "x", 0}, packed{"d", "x", 0}),
		with("a name without end", "name", packed{strings.Repeat("n", 300), "x", 0}),
		with("requirements from elsewhere", "--index-url", packed{"requirements.txt", "--index-url https://evil.example/\nx\n", 0}),
		with("requirements from here", "paths are not allowed", packed{"requirements.txt", "/etc\n", 0}),
		with("requirements with a file URL", "paths are not allowed", packed{"requirements.txt", "x @ file:///etc/x\n", 0}),
		with("requirements of another file", "-r", packed{"requirements.txt", "-r /etc/passwd\n", 0}),
		with("requirements with a variable", "variables", packed{"requirements.txt", "x==${HOME}\n", 0}),
		with("requirements that are no text", "cannot be printed", packed{"requirements.txt", "x\xff\n", 0}),
		with("requirements without end", "more than", packed{"requirements.txt", strings.Repeat("# nothing\n", 200_000), 0}),
		{name: "a zip sent as text", kind: "python:3", code: good, text: true, words: "send it as binary"},
		{name: "text that is no Python", kind: "python:3", code: []byte("def main(:\n"), text: true, words: "syntax"},
		{name: "text with a zero byte", kind: "python:3", code: []byte("def main(args):\n    return '\x00'\n"), text: true, words: "null bytes"},
		{name: "text that is not UTF-8", kind: "python:3", code: []byte("def main(args):\n    return '\xff'\n"), text: true, words: "utf-8"},
		{name: "no such function", kind: "python:3", code: []byte("other = 1\n"), text: true, words: "main"},
		{name: "text sent as a zip", kind: "nodejs:20", code: []byte("function main() {}"), words: "sent as binary"},
		{name: "text that is no JavaScript", kind: "nodejs:20", code: []byte("function main( {"), text: true, words: "SyntaxError"},
		{name: "a package.json that is no JSON", kind: "nodejs:20", code: zipEntries(t, packed{"package.json", "{", 0}), words: "package.json cannot be read"},
		{name: "a main that is not there", kind: "nodejs:20", code: zipEntries(t, packed{"package.json", `{"main":"gone.js"}`, 0}), words: "gone.js"},
		{name: "a main outside", kind: "nodejs:20", code: zipEntries(t, packed{"package.json", `{"main":"../../evil.js"}`, 0}), words: "no such file"},
		{name: "an empty package", kind: "nodejs:20", code: zipEntries(t), words: "neither a package.json"},
		{name: "no executable", kind: "native", code: zipEntries(t, packed{"README", "x", 0}), words: "no executable called exec"},
		{name: "a directory as executable", kind: "native", code: zipEntries(t, packed{"exec/x", "x", 0}), words: "no executable called exec"},
		{name: "bytes that are no program", kind: "native", code: []byte("\x7fELF and then nothing"), words: "damaged"},
	}
}

// encrypted is a zip whose entry is marked as encrypted, and is.
func encrypted(t *testing.T) []byte {
	t.Helper()
	b := zipEntries(t, packed{"__main__.py", goodPy, 0})
	b = patched(t, b, centralRecord, 8, 9, 0) // bit 0 of the flags, beside bit 3
	name := bytes.Index(b, []byte("__main__.py"))
	for i := name + 11; i < name+11+12; i++ {
		b[i] ^= 0x5a
	}
	return b
}

// manyEntries is a zip whose n entries share one local header. n is above what 16
// bits count, so a zip64 end record has it.
func manyEntries(n int) []byte {
	const name = "name"
	le := bytesOf.LittleEndian
	local := "PK\x03\x04" + strings.Repeat("\x00", 22) + "\x04\x00\x00\x00" + name
	entry := centralRecord + strings.Repeat("\x00", 24) + "\x04\x00" + strings.Repeat("\x00", 16) + name
	central := strings.Repeat(entry, n)
	end := append([]byte("PK\x06\x06"), le.AppendUint64(nil, 44)...)
	end = append(end, make([]byte, 12)...)
	for _, v := range []int{n, n, len(central), len(local)} {
		end = le.AppendUint64(end, uint64(v))
	}
	end = append(end, "PK\x06\x07\x00\x00\x00\x00"...)
	end = le.AppendUint64(end, uint64(len(local)+len(central)))
	end = append(end, "\x01\x00\x00\x00"+endRecord+"\x00\x00\x00\x00"+strings.Repeat("\xff", 12)+"\x00\x00"...)
	return []byte(local + central + string(end))
}

// tarOf is a tar whose files are full of zeros.
func tarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		h.Mode, h.Format = 0o644, tar.FormatUSTAR
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, h.Size))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Code that cannot become a function says why, through a balancer too, leaves
// nothing behind, and harms no other function.
func TestBrokenCodeIsRefusedAndLeavesNothing(t *testing.T) {
	dir, serverDir := t.TempDir(), t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := p.waitFor(`balancer listening on (\S+)`)
	server := start(t, nil, nil, "server", "--balancer", url, "--token", readToken(t, dir, "join"), "--data", serverDir)
	server.waitFor("joined")
	v := newVictim(t, url, readToken(t, dir, "client"), "guest")
	before := functionDirs(t, serverDir)
	for _, c := range badArchives(t) {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			refusesCode(t, v, c, dir, serverDir)
			v.unharmed(t)
		})
	}
	eventually(t, "the directories of what was refused are gone", func() bool { return functionDirs(t, serverDir) == before })
	filepath.WalkDir(filepath.Dir(serverDir), func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, "evil") {
			t.Errorf("%s was left", path)
		}
		return nil // what ends meanwhile is no error
	})
	for _, part := range []*process{p, server} {
		if strings.Contains(part.log(), "panic") {
			t.Error("something panicked")
		}
	}
}

// functionDirs counts the functions' directories.
func functionDirs(t *testing.T, serverDir string) int {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(serverDir, "functions", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(dirs)
}

func refusesCode(t *testing.T, v *victim, c badArchive, dirs ...string) {
	spec := v.spec
	spec.Action, spec.Kind, spec.Binary, spec.Code = "broken", c.kind, !c.text, function.DigestOf(c.code)
	if err := v.client.PutCode(t.Context(), spec.Namespace, spec.Code, bytes.NewReader(c.code)); err != nil {
		t.Fatal(err)
	}
	_, err := v.client.Init(t.Context(), spec, function.Lease{ID: function.NewLeaseID(), TTL: time.Minute})
	if function.CodeOf(err) != function.CodeInitFailed {
		t.Fatalf("%v (%s), want %s", err, function.CodeOf(err), function.CodeInitFailed)
	}
	failed := function.AsError(err)
	if !strings.Contains(strings.ToLower(failed.Message+failed.Logs), strings.ToLower(c.words)) {
		t.Errorf("%q, with the logs %.500q, lacks %q", failed.Message, failed.Logs, c.words)
	}
	if c.tellsPath {
		dirs = nil
	}
	for _, secret := range append(dirs, "panic", "goroutine", v.secret) {
		if strings.Contains(failed.Message, secret) {
			t.Errorf("the error tells %q: %s", secret, failed.Message)
		}
	}
}
