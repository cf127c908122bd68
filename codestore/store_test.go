package codestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/whiskaway/whiskaway/function"
)

func open(t *testing.T, dir string, maxBytes int64) *Store {
	t.Helper()
	s, err := Open(dir, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, namespace string, code []byte) function.Digest {
	t.Helper()
	d := function.DigestOf(code)
	if err := s.Put(t.Context(), namespace, d, bytes.NewReader(code)); err != nil {
		t.Fatal(err)
	}
	return d
}

func acquire(t *testing.T, s *Store, namespace string, d function.Digest) *Blob {
	t.Helper()
	b, err := s.Acquire(namespace, d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// has reports whether namespace has uploaded the code, and it is still here.
func has(s *Store, namespace string, d function.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owns(wanted{ownerMark(namespace), d})
}

func wantCode(t *testing.T, err error, code function.Code) {
	t.Helper()
	if function.CodeOf(err) != code {
		t.Fatalf("got %v (%s), want the code %s", err, function.CodeOf(err), code)
	}
}

// files lists everything below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCodeIsThereOnlyForTheNamespaceThatUploadedIt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	code := []byte("def main(args): return args")
	d := put(t, s, "alice", code)
	b := acquire(t, s, "alice", d)
	defer b.Release()
	if got, err := os.ReadFile(b.Path); err != nil || !bytes.Equal(got, code) || b.Size != int64(len(code)) {
		t.Fatalf("got %q, %v, size %d", got, err, b.Size)
	}
	if has(s, "bob", d) {
		t.Fatal("bob has what he never uploaded")
	}
	_, err := s.Acquire("bob", d)
	wantCode(t, err, function.CodeCodeMissing)

	err = s.Put(t.Context(), "bob", d, strings.NewReader("a guess"))
	wantCode(t, err, function.CodeBadRequest)
	if has(s, "bob", d) {
		t.Fatal("a digest alone gave bob the code")
	}
	put(t, s, "bob", code)
	acquire(t, s, "bob", d).Release()
	if n := len(files(t, dir)); n != 4 { // the directory, the bytes once, two owners
		t.Fatalf("%d files: %v", n, files(t, dir))
	}
}

func TestNothingIsKeptOfWhatIsRefused(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("connection reset")
	for name, c := range map[string]struct {
		ctx  context.Context
		code io.Reader
		want function.Code
	}{
		"other bytes":    {t.Context(), strings.NewReader("other"), function.CodeBadRequest},
		"too many bytes": {t.Context(), strings.NewReader(strings.Repeat("x", 101)), function.CodeTooLarge},
		"cut off":        {t.Context(), io.MultiReader(strings.NewReader("co"), iotest.ErrReader(broken)), function.CodeBadRequest},
		"cancelled":      {cancelled, strings.NewReader("code"), function.CodeCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 100)
			d := function.DigestOf([]byte("code"))
			wantCode(t, s.Put(c.ctx, "alice", d, c.code), c.want)
			if left := files(t, dir); len(left) != 0 || has(s, "alice", d) {
				t.Fatalf("left: %v", left)
			}
		})
	}
}

func TestTheLeastRecentlyUsedGoesFirstAndNeverWhatIsInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 30)
	code := func(c string) []byte { return []byte(strings.Repeat(c, 10)) }
	a, b, c := put(t, s, "n", code("a")), put(t, s, "n", code("b")), put(t, s, "n", code("c"))
	held := acquire(t, s, "n", a)
	acquire(t, s, "n", b).Release() // now c is the oldest
	d := put(t, s, "n", code("d"))
	if has(s, "n", c) || !has(s, "n", a) || !has(s, "n", b) || !has(s, "n", d) {
		t.Fatal("not the least recently used was evicted")
	}
	heldB, heldD := acquire(t, s, "n", b), acquire(t, s, "n", d)
	err := s.Put(t.Context(), "n", c, bytes.NewReader(code("c")))
	wantCode(t, err, function.CodeBusy)
	if function.AsError(err).RetryAfter <= 0 {
		t.Fatal("busy without a time to wait")
	}
	held.Release()
	held.Release() // counts once
	put(t, s, "n", code("c"))
	if has(s, "n", a) {
		t.Fatal("a was not evicted")
	}
	heldB.Release()
	heldD.Release()
	if n := len(files(t, dir)); n != 9 {
		t.Fatalf("%d files, want 3 codes of 3", n)
	}
}

func TestRestartKeepsCodeOwnersAndOrderAndSweepsTheRest(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	old, young := put(t, s, "alice", []byte("old.......")), put(t, s, "alice", []byte("young....."))
	acquire(t, s, "alice", old).Release() // used last
	for _, left := range []string{tempStart + "1", function.DigestOf([]byte("no bytes in it")).String()} {
		if err := os.Mkdir(filepath.Join(dir, left), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, 10) // room for one
	if !has(s, "alice", old) || has(s, "alice", young) || has(s, "bob", old) {
		t.Fatal("not what was there before")
	}
	acquire(t, s, "alice", old).Release()
	if left := files(t, dir); len(left) != 3 {
		t.Fatalf("left: %v", left)
	}
}

func TestDamagedCodeCountsAsMissing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	code := []byte("whole")
	d := put(t, s, "alice", code)
	s = open(t, dir, 0)
	if err := os.WriteFile(s.codePath(d), []byte("whale"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Acquire("alice", d)
	wantCode(t, err, function.CodeCodeMissing)
	if left := files(t, dir); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
	put(t, s, "alice", code)
	acquire(t, s, "alice", d).Release()

	s = open(t, dir, 0)
	if err := os.WriteFile(s.codePath(d), []byte("hole"), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, s, "alice", code) // an upload heals it
	b := acquire(t, s, "alice", d)
	defer b.Release()
	if got, err := os.ReadFile(b.Path); err != nil || !bytes.Equal(got, code) {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 2000)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				code := fmt.Appendf(nil, "%0400d", (i+j)%9)
				d := function.DigestOf(code)
				err := s.Put(t.Context(), "n", d, bytes.NewReader(code))
				if function.CodeOf(err) == function.CodeBusy {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				b, err := s.Acquire("n", d)
				if err != nil {
					continue // evicted by the others
				}
				if sum, err := sumFile(b.Path); err != nil || sum != d {
					t.Errorf("a file in use is not whole: %v", err)
				}
				b.Release()
			}
		})
	}
	wg.Wait()
	if s.bytes > 2000 || s.bytes != int64(len(s.entries))*400 {
		t.Fatalf("%d bytes in %d codes", s.bytes, len(s.entries))
	}
}

func TestFilesAreForTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "code")
	put(t, open(t, dir, 0), "alice", []byte("secret"))
	for _, path := range append(files(t, dir), dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
	}
}
