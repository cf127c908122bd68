package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// Only its user sees a function's code, and it can put nothing in the place of the directories in which
// we make others: we would follow a link with our rights.
func TestAFunctionsUserOwnsNothingThatWeWorkIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives directories away")
	}
	defer syscall.Umask(syscall.Umask(0o077)) // a careful operator's
	base := t.TempDir()
	for _, dir := range []string{filepath.Dir(base), base} { // made by testing, for root alone
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	const owner, stranger = 61_001, 61_002
	j := startJob{dir: filepath.Join(base, "f-1"), user: owner, number: 1}
	if err := makeDirs(j); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(codeDir(j.dir), "main.py"), []byte("code"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(codeDir(j.dir), "main.py"), 0o644); err != nil {
		t.Fatal(err)
	}
	temp := tempOf(j.dir, 1)
	if err := errors.Join(closeCode(j), os.Mkdir(temp, 0o700), giveTo(temp, owner)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user    uint32
		command string
		works   bool
	}{
		{owner, "cat code/main.py", true},
		{owner, "touch tmp/1/x", true},
		{owner, "chmod 777 .", false},
		{owner, "mv tmp elsewhere", false},
		{owner, "mv code elsewhere", false},
		{owner, "ln -s /etc tmp/2", false},
		{stranger, "cat code/main.py", false},
		{stranger, "ls tmp", false},
		{stranger, "ls tmp/1", false},
	} {
		cmd := exec.Command("sh", "-c", c.command)
		cmd.Dir = j.dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.user, Gid: c.user}}
		if out, err := cmd.CombinedOutput(); (err == nil) != c.works {
			t.Errorf("%d: %s: %v %s", c.user, c.command, err, out)
		}
	}
}

// What a start has made goes when it fails, wherever that is.
func TestAStartThatFailsLeavesNoTemporaryDirectory(t *testing.T) {
	dir := t.TempDir()
	j := startJob{spec: function.Spec{Namespace: "n"}, dir: filepath.Join(dir, "f"), number: 1}
	if err := makeDirs(j); err != nil {
		t.Fatal(err)
	}
	s := &Server{log: slog.New(slog.DiscardHandler), caches: &caches{dir: filepath.Join(dir, "missing"), groups: map[string]int{}}}
	if _, err := s.startIn(context.Background(), j, kind.Command{}); err == nil || !strings.Contains(err.Error(), "cache") {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(tempDir(j.dir)); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A cache from a time when functions had no users of their own can be used by them, with what is in it.
func TestACacheFromBeforeFunctionsHadUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives directories to groups")
	}
	dir := t.TempDir()
	before, err := openCaches(dir, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	cache, group, err := before.of("guest")
	if err != nil || group != 0 {
		t.Fatal(group, err)
	}
	sub := filepath.Join(cache, "huggingface")
	if err := errors.Join(os.Mkdir(sub, 0o755), os.WriteFile(filepath.Join(sub, "weights"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	after, err := openCaches(dir, 1<<20, newUsers("x", 1<<32-1))
	if err != nil {
		t.Fatal(err)
	}
	_, group, err = after.of("guest")
	if err != nil || group == 0 {
		t.Fatal(group, err)
	}
	for path, want := range map[string]fs.FileMode{cache: 0o770, sub: 0o775, filepath.Join(sub, "weights"): 0o660} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if groupOf(info) != group || info.Mode().Perm() != want {
			t.Errorf("%s: group %d, mode %v", path, groupOf(info), info.Mode())
		}
	}
}
