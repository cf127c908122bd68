package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

// shell runs a script behind the walls, and returns what it prints.
func shell(t *testing.T, cfg sandbox.Config, script string) string {
	t.Helper()
	cfg.Path, cfg.Args, cfg.Shim = "/bin/sh", []string{"-c", script}, shimOf("")
	cfg.Env = []string{"PATH=/usr/bin:/bin"}
	if cfg.Dir == "" {
		cfg.Dir = "/"
	}
	var out strings.Builder
	if err := sandbox.Run(t.Context(), cfg, &out); err != nil {
		t.Errorf("%s: %v: %s", script, err, out.String())
	}
	return out.String()
}

// openTree makes files, and directories where a path ends in a slash, that everybody may use, but for the walls.
func openTree(t *testing.T, paths ...string) string {
	t.Helper()
	root, err := os.MkdirTemp("", "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, path := range paths {
		full := filepath.Join(root, path)
		dir, _ := filepath.Split(root + "/" + path)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "/") {
			if err := os.WriteFile(full, []byte("it\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, 0o777)
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestViewOfFiles(t *testing.T) {
	root := openTree(t, "data/secret", "data/own/code", "data/own/temp/", "data/shared/deep/file", "data/shared/closed/secret", "other/file", "linked/file")
	at := func(path string) string { return filepath.Join(root, path) }
	if err := os.Symlink(at("linked"), at("link")); err != nil {
		t.Fatal(err)
	}
	walls := full(t, at("data"), at("data/shared/closed"))
	needView(t, walls)
	cfg := sandbox.Config{Walls: walls, User: 20001, Dir: at("data/own"), Temp: at("data/own/temp"),
		Writable: []string{at("data/shared")}, Readable: []string{at("other/file"), at("link")}}
	for _, c := range []struct{ script, want string }{
		{"pwd; cat code", at("data/own") + "\nit\n"},
		{"cat " + at("data/secret"), "no"},
		{"cat " + at("data/shared/closed/secret"), "no"},
		{"echo x > " + at("data/shared/closed/new"), "no"},
		{"cat " + at("data/shared/deep/file"), "it\n"},
		{"echo x > " + at("data/shared/deep/new"), ""},
		{"cat " + at("other/file"), "it\n"},
		{"echo x > " + at("other/file"), "no"},
		{"ls " + at("other"), "file\n"},
		{"cat " + at("link/file"), "it\n"},
		{"echo x > code", "no"},
		{"echo x > /tmp/there; cat " + at("data/own/temp/there"), "x\n"},
		{"cat /var/tmp/there", "x\n"},
		{"chmod 4755 /tmp/there; echo x > /dev/shm/there; ls /dev/shm", "there\n"},
		{"ls /dev/shm", ""}, // each command has its own
		{"ls /root /home /run > /dev/null", ""},
		{"echo x > /run/new", "no"},
		{"mknod /tmp/null c 1 3", "no"},
		{"test -r /etc/resolv.conf && test -c /dev/null && echo x > /dev/null", ""},
		{"id -u > /dev/null; hostname new", "no"},
	} {
		want := c.want
		if want == "no" {
			want = "no\n"
		}
		if got := shell(t, cfg, "{ "+c.script+"; } 2>/dev/null || echo no"); got != want {
			t.Errorf("%s: %q, not %q", c.script, got, want)
		}
	}
	if _, err := os.Stat(at("data/own/temp/there")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(at("data/shared/deep/new")); err != nil {
		t.Error(err)
	}
}

// What is named and not there is told, and so is what the command's own paths lack.
func TestViewOfWhatIsMissing(t *testing.T) {
	walls := full(t)
	for _, cfg := range []sandbox.Config{{Temp: "/is/not/there"}, {Readable: []string{"/is/not/there"}}, {Writable: []string{"/is/not/there"}}} {
		cfg.Path, cfg.Dir, cfg.Shim, cfg.Walls = "/bin/true", "/", shimOf(""), walls
		err := sandbox.Run(t.Context(), cfg, nil)
		if err == nil || !strings.Contains(err.Error(), "/is/not/there: no such file") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// Without a Temp there is a small one.
func TestTemporaryDirectoryInMemory(t *testing.T) {
	walls := full(t)
	needView(t, walls)
	cfg := sandbox.Config{Walls: walls, User: 20001}
	if got := shell(t, cfg, "echo x > /tmp/a && cat /var/tmp/a; head -c 100M /dev/zero > /tmp/b 2>/dev/null || echo full"); got != "x\nfull\n" {
		t.Errorf("got %q", got)
	}
	if got := shell(t, cfg, "ls /tmp"); got != "" {
		t.Errorf("left over: %q", got)
	}
}

// What a server's umask closes for others stays open where the walls need it.
func TestMountPointsAreOpen(t *testing.T) {
	root := openTree(t, "a/b/code")
	walls := full(t, root)
	needView(t, walls)
	cfg := sandbox.Config{Walls: walls, User: 20001, Dir: filepath.Join(root, "a/b")}
	got := shell(t, cfg, "umask; cat "+filepath.Join(root, "a/b/code")+"; stat -c %a "+filepath.Join(root, "a"))
	if !strings.HasSuffix(got, "it\n755\n") {
		t.Errorf("got %q", got)
	}
}
