package kind_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// rewrite makes a zip anew with one change to its bytes.
func rewrite(t *testing.T, path string, change func(b []byte)) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(b)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Damaged bytes are the archive's fault, not this machine's.
func TestArchiveWithDamagedBytes(t *testing.T) {
	text := strings.Repeat("some text that shrinks, ", 500)
	path := rewrite(t, zipFile(t, entry{"__main__.py", text, 0}), func(b []byte) {
		start := bytes.Index(b, []byte("__main__.py")) + len("__main__.py")
		copy(b[start:], "\xff\xff\xff\xff") // no valid beginning of deflated data
	})
	_, err := usual(t).Prepare(t.Context(), source(t, kind.Python, path), nil)
	wantFault(t, err, function.CodeInitFailed, "damaged")
}

// What we read into memory has a limit of its own: an archive of some MB may
// unpack to gigabytes.
func TestListsThatAreTooLargeAreRefused(t *testing.T) {
	set := usual(t)
	huge := strings.Repeat("# nothing\n", 3<<20/10)
	_, err := set.Prepare(t.Context(), source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", huge, 0})), nil)
	wantFault(t, err, function.CodeInitFailed, "requirements.txt has more than")
	_, err = set.Prepare(t.Context(), source(t, kind.NodeJS, zipFile(t, entry{"package.json", huge, 0})), nil)
	wantFault(t, err, function.CodeInitFailed, "package.json has more than")
}

func TestArchivesWithOddNames(t *testing.T) {
	src := source(t, kind.Native, zipFile(t, entry{"./", "", os.ModeDir | 0o755}, entry{"./exec", "#!/bin/sh\n", 0},
		entry{"new\nline", "a", 0}, entry{"ü 🎉", "b", 0}, entry{"twice", "first", 0}, entry{"twice", "second", 0}))
	if _, err := usual(t).Prepare(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"new\nline": "a", "ü 🎉": "b", "twice": "second"} {
		if got, err := os.ReadFile(filepath.Join(src.Dir, name)); err != nil || string(got) != want {
			t.Errorf("%q holds %q, %v", name, got, err)
		}
	}
}

func TestZipsWithNamesThatAreTooLong(t *testing.T) {
	for _, name := range []string{strings.Repeat("x", 300), strings.Repeat("x/", 60) + "x", strings.Repeat("abcdefg/", 8000)} {
		_, err := usual(t).Prepare(t.Context(), source(t, kind.Native, zipFile(t, entry{name, "", 0})), nil)
		wantFault(t, err, function.CodeInitFailed, "too long")
		if len(err.Error()) > 1000 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

// Errors say where the code is, when it is in the wrong place.
func TestArchivesOfADirectoryInsteadOfItsContent(t *testing.T) {
	for name, path := range map[string]string{kind.Python: "my/__main__.py", kind.NodeJS: "my/package.json", kind.Native: "a/b/exec"} {
		_, err := usual(t).Prepare(t.Context(), source(t, name, zipFile(t, entry{path, "{}", 0})), nil)
		wantFault(t, err, function.CodeInitFailed, fmt.Sprintf("but %q: pack what is in the directory %q", path, filepath.Dir(path)))
	}
}

func TestArchiveWithTooManyEntries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "code.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	for i := range 100_001 {
		if _, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = usual(t).Prepare(t.Context(), source(t, kind.Native, path), nil)
	wantFault(t, err, function.CodeInitFailed, "100001 entries")
}

func TestUnpackingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src := source(t, kind.Native, zipFile(t, entry{"exec", "#!/bin/sh\n", 0}))
	if _, err := usual(t).Prepare(ctx, src, nil); function.CodeOf(err) != function.CodeCancelled {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(src.Dir, "exec")); err == nil {
		t.Error("it was unpacked all the same")
	}
}
