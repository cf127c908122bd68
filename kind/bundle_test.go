package kind_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/kind"
)

// runBundle makes a bundle, moves it away from where it was made, removes that, and runs it as another action
// proxy would. It returns what comes on fd 3 for one run.
func runBundle(t *testing.T, set *kind.Set, src kind.Source) string {
	t.Helper()
	made, moved := mkdir(t, t.TempDir(), "made"), filepath.Join(t.TempDir(), "moved 'here'")
	if err := set.Bundle(t.Context(), src, made, nil); err != nil {
		t.Fatal(err)
	}
	exec.Command("chmod", "-R", "u+w", src.EnvsDir).Run()
	for _, err := range []error{os.Rename(made, moved), os.RemoveAll(src.Dir), os.RemoveAll(src.EnvsDir), os.RemoveAll(src.LauncherDir)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(filepath.Join(moved, "exec"))
	cmd.Dir, cmd.ExtraFiles, cmd.Env = "/", []*os.File{w}, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "__OW_WAIT_FOR_ACK=1"}
	cmd.Stdin = io.MultiReader(strings.NewReader(`{"value":{"n":1}}` + "\n"))
	out, err := cmd.CombinedOutput()
	w.Close()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBundlesHoldTheirDependencies(t *testing.T) {
	t.Run("python", func(t *testing.T) {
		requirePip(t)
		src := source(t, kind.Python, zipFile(t, entry{"__main__.py", "import iniconfig\ndef main(args):\n    return {'has': iniconfig.__name__}\n", 0}, entry{"requirements.txt", "iniconfig==2.0.0\n", 0}))
		if got := runBundle(t, usual(t), src); got != "{\"ok\":true}\n{\"has\":\"iniconfig\"}\n" {
			t.Errorf("it answered %q", got)
		}
	})
	t.Run("nodejs", func(t *testing.T) {
		requireNPM(t)
		src := source(t, kind.NodeJS, zipFile(t, entry{"package.json", numberPackage, 0}, entry{"start.js", "const is = require('is-number'); exports.main = ({ n }) => ({ is: is(n) })", 0}))
		if got := runBundle(t, usual(t), src); got != "{\"ok\":true}\n{\"is\":true}\n" {
			t.Errorf("it answered %q", got)
		}
	})
	t.Run("a quote in main", func(t *testing.T) {
		src := source(t, kind.Python, zipFile(t, entry{"__main__.py", "globals()[\"it's\"] = lambda args: args\n", 0}))
		src.Main = "it's"
		if got := runBundle(t, usual(t), src); got != "{\"ok\":true}\n{\"n\":1}\n" {
			t.Errorf("it answered %q", got)
		}
	})
}

func TestBundleOfACompiledFunction(t *testing.T) {
	if !usual(t).Serves(kind.Go) {
		t.Skip("there is no Go here")
	}
	src := source(t, kind.Go, textFile(t, "package main\n\nfunc Main(args map[string]any) map[string]any { return args }\n"))
	made := mkdir(t, t.TempDir(), "made")
	if err := usual(t).Bundle(t.Context(), src, made, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", src.EnvsDir).Run() })
	entries, err := os.ReadDir(made)
	if err != nil || len(entries) != 1 || entries[0].Name() != "exec" {
		t.Errorf("%v, %v", entries, err)
	}
}

// The same files give the same zip, whenever and in whatever order they were made; links and exec bits stay.
func TestZipsAreTheSameEachTime(t *testing.T) {
	pack := func(names ...string) []byte {
		t.Helper()
		dir := t.TempDir()
		for _, name := range names {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			mode := os.FileMode(0o600)
			if filepath.Base(name) == "exec" {
				mode = 0o700
			}
			if err := os.WriteFile(path, []byte(name), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("b/file", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := kind.WriteZip(&b, dir); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	one, other := pack("exec", "b/file", "a"), pack("a", "b/file", "exec")
	if !bytes.Equal(one, other) {
		t.Error("the zips differ")
	}
	archive := filepath.Join(t.TempDir(), "code.zip")
	if err := os.WriteFile(archive, one, 0o600); err != nil {
		t.Fatal(err)
	}
	src := source(t, kind.Native, archive)
	_, err := usual(t).Prepare(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(filepath.Join(src.Dir, "link")); err != nil || to != "b/file" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if info, err := os.Stat(filepath.Join(src.Dir, "exec")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("exec is %v, %v", info.Mode(), err)
	}
}
