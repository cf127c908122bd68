package kind_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/whiskaway/whiskaway/kind"
)

const nobody = 65534

// A watchedTool remembers its commands. As root it runs them as another user, as a sandbox may.
type watchedTool struct {
	commands []kind.Command
	began    int // how much was in the directory before the first command
}

func (w *watchedTool) run(ctx context.Context, c kind.Command, out io.Writer) error {
	if len(w.commands) == 0 {
		entries, _ := os.ReadDir(c.Writable[0])
		w.began = len(entries)
	}
	w.commands = append(w.commands, c)
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, out, out
	if os.Geteuid() == 0 {
		err := filepath.WalkDir(c.Writable[0], func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, nobody, nobody))
		})
		if err != nil {
			return err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd.Run()
}

// A tool works in one directory, which is empty at first but for the code, and writes nowhere
// else. What it built as somebody else belongs to us afterwards, and nobody can change it.
func TestToolsBuildInOneEmptyDirectory(t *testing.T) {
	requirePip(t)
	requireNPM(t)
	t.Setenv("WHISKAWAY_TOKEN", "secret")
	for name, src := range map[string]kind.Source{
		"pip": source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "iniconfig==2.0.0\n", 0})),
		"npm": source(t, kind.NodeJS, zipFile(t, entry{"package.json", numberPackage, 0}, entry{"start.js", numberCode, 0})),
	} {
		t.Run(name, func(t *testing.T) {
			var tool watchedTool
			// Another user may not see the interpreter that is first in PATH.
			set, err := kind.Discover(t.Context(), kind.Options{Python: "/usr/bin/python3", Tool: tool.run})
			if err != nil {
				t.Skip(err)
			}
			envs := newEnvs(t)
			for dir := filepath.Dir(envs); dir != os.TempDir(); dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			env := prepareIn(t, set, envs, src, nil).EnvDir
			if tool.began > 2 { // the directory for HOME, and perhaps the code
				t.Errorf("%d files were there before", tool.began)
			}
			for _, c := range tool.commands {
				checkCommand(t, c, env)
			}
			checkOwners(t, env)
		})
	}
}

func checkCommand(t *testing.T, c kind.Command, env string) {
	t.Helper()
	if len(c.Writable) != 1 || c.Writable[0] != env || !strings.HasPrefix(c.Dir, env+"/") {
		t.Errorf("%s works in %s and may write to %v", c.Path, c.Dir, c.Writable)
	}
	for _, name := range []string{"HOME", "TMPDIR"} {
		if !slices.ContainsFunc(c.Env, func(s string) bool { return strings.HasPrefix(s, name+"="+env+"/") }) {
			t.Errorf("%s is elsewhere: %q", name, c.Env)
		}
	}
	if slices.ContainsFunc(c.Env, func(s string) bool { return strings.Contains(s, "secret") }) {
		t.Errorf("%s sees a secret", c.Path)
	}
}

func checkOwners(t *testing.T, env string) {
	t.Helper()
	err := filepath.WalkDir(env, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode, owner := info.Mode(), int(info.Sys().(*syscall.Stat_t).Uid)
		if owner != os.Geteuid() || mode&fs.ModeSymlink == 0 && mode.Perm() != 0o444 && mode.Perm() != 0o555 {
			t.Errorf("%s: %v, of user %d", path, mode, owner)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
