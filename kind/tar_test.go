package kind_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// A member is an entry of a tar; without a type it is a file, or a link.
type member struct {
	name, text, link string
	kind             byte
	mode             int64
}

func tarFile(t testing.TB, zipped bool, members ...member) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "code.zip") // the format is found out, not believed
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var out io.WriteCloser = f
	if zipped {
		out = gzip.NewWriter(f)
	}
	w := tar.NewWriter(out)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Linkname: m.link, Typeflag: m.kind, Mode: m.mode, Size: int64(len(m.text))}
		if m.kind == 0 && m.link != "" {
			h.Typeflag = tar.TypeSymlink
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.text); err != nil {
			t.Fatal(err)
		}
	}
	errs := []error{w.Close()}
	if zipped {
		errs = append(errs, out.Close())
	}
	if err := errors.Join(append(errs, f.Close())...); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTarsUnpack(t *testing.T) {
	long := strings.Repeat("long/", 45) + "name"
	for _, zipped := range []bool{false, true} {
		src := source(t, kind.Native, tarFile(t, zipped, member{name: "./", kind: tar.TypeDir}, member{name: "./exec", text: "#!/bin/sh\n", mode: 0o755},
			member{name: "data.txt", text: "hi", mode: 0o600}, member{name: "lib/link", link: "../data.txt"}, member{name: "hard", kind: tar.TypeLink, link: "data.txt"}, member{name: long, text: "far"}))
		if _, err := usual(t).Prepare(t.Context(), src, nil); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"lib/link": "hi", "hard": "hi", long: "far"} {
			if got := text(t, filepath.Join(src.Dir, name)); got != want {
				t.Errorf("%s holds %q", name, got)
			}
		}
	}
}

func TestTarsThatAreRefused(t *testing.T) {
	var many []member
	for i := range 2600 {
		many = append(many, member{name: strings.Repeat(string(rune('a'+i%26)), 1+i/26) + strings.Repeat("/x", 48)})
	}
	for name, c := range map[string]struct {
		members []member
		words   string
	}{
		"parent":           {[]member{{name: "../evil"}}, "would leave"},
		"absolute":         {[]member{{name: "/etc/evil"}}, "would leave"},
		"link up":          {[]member{{name: "a/x", link: "../../etc"}}, "outside"},
		"absolute link":    {[]member{{name: "x", link: "/etc"}}, "outside"},
		"hard link up":     {[]member{{name: "x", kind: tar.TypeLink, link: "../x"}}, "outside"},
		"hard link astray": {[]member{{name: "x", kind: tar.TypeLink, link: "y"}}, "no file that came before"},
		"hard link to dir": {[]member{{name: "d/f"}, {name: "x", kind: tar.TypeLink, link: "d"}}, "no file that came before"},
		"file below file":  {[]member{{name: "x"}, {name: "x/y"}}, "cannot be unpacked"},
		"file below link":  {[]member{{name: "p", link: "."}, {name: "p/x"}}, "cannot be unpacked"},
		"device":           {[]member{{name: "x", kind: tar.TypeChar}}, "neither a file"},
		"pipe":             {[]member{{name: "x", kind: tar.TypeFifo}}, "neither a file"},
		"long part":        {[]member{{name: strings.Repeat("x", 300)}}, "too long"},
		"deep":             {[]member{{name: strings.Repeat("x/", 200) + "x"}}, "too long"},
		"many directories": {many, "more than 100000 entries"},
		"bomb":             {[]member{{name: "x", text: strings.Repeat("\x00", 70<<20)}}, "more than is allowed"},
		"no exec":          {[]member{{name: "bin/exec"}}, `but "bin/exec": pack what is in the directory "bin"`},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "many directories" && os.Getenv("WHISKAWAY_SLOW") == "" {
				t.Skip("makes 100,000 directories: only with WHISKAWAY_SLOW=1")
			}
			t.Parallel()
			_, err := usual(t).Prepare(t.Context(), source(t, kind.Native, tarFile(t, true, c.members...)), nil)
			wantFault(t, err, function.CodeInitFailed, c.words)
		})
	}
}

func TestTarsThatAreDamaged(t *testing.T) {
	good, err := os.ReadFile(tarFile(t, true, member{name: "exec", text: strings.Repeat("some text ", 1000)}))
	if err != nil {
		t.Fatal(err)
	}
	var notTar bytes.Buffer
	w := gzip.NewWriter(&notTar)
	io.WriteString(w, "only text\n")
	w.Close()
	for name, data := range map[string][]byte{"cut": good[:len(good)/2], "gzip without a tar": notTar.Bytes(), "nothing behind the magic": []byte("\x1f\x8b\x08")} {
		src := source(t, kind.Native, textFile(t, string(data)))
		src.Binary = true
		_, err := usual(t).Prepare(t.Context(), src, nil)
		if e := function.AsError(err); e == nil || e.Code != function.CodeInitFailed || !strings.Contains(e.Message, "tar.gz") {
			t.Errorf("%s: %v", name, err)
		}
	}
	src := source(t, kind.Python, tarFile(t, true, member{name: "__main__.py"}))
	src.Binary = false
	_, err = usual(t).Prepare(t.Context(), src, nil)
	wantFault(t, err, function.CodeInitFailed, "the code is a tar.gz, but was sent as source text")
}
