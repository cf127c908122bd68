package sandbox_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

// deepen makes directories in each other.
func deepen(t *testing.T, top string, levels int) {
	t.Helper()
	root, err := os.OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	for range levels {
		if err := root.Mkdir("d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile("file", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		next, err := root.OpenRoot("d")
		root.Close()
		if err != nil {
			t.Fatal(err)
		}
		root = next
	}
	root.Close()
}

func TestRemoveAllOfADeepTreeNeedsFewFileDescriptors(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	top := filepath.Join(t.TempDir(), "top")
	for _, dir := range []string{top, top + "/wide", top + "/closed/closed"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	deepen(t, top, 3000)
	deepen(t, top+"/wide", 100)
	deepen(t, top+"/closed/closed", 100)
	for _, dir := range []string{top + "/closed/closed", top + "/closed", top} {
		if err := os.Chmod(dir, 0); err != nil {
			t.Fatal(err)
		}
	}
	few := before
	few.Cur = min(before.Cur, 256)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
	if err := sandbox.RemoveAll(top); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(top); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestRemoveAllFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	other, top := filepath.Join(dir, "other"), filepath.Join(dir, "top")
	for _, d := range []string{other, filepath.Join(top, "a/b")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(other+"/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{top + "/link", top + "/a/link", top + "/a/b/link", dir + "/linked"} {
		if err := os.Symlink(other, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{top, dir + "/linked", dir + "/nothing", dir + "/nothing/below"} {
		if err := sandbox.RemoveAll(path); err != nil {
			t.Error(err)
		}
	}
	left, err := filepath.Glob(dir + "/*")
	if err != nil || len(left) != 1 {
		t.Errorf("%q is left, %v", left, err)
	}
	if info, err := os.Stat(other + "/file"); err != nil || info.Mode() != 0o644 {
		t.Error(info, err)
	}
}
