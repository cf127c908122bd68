package kind_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// Environments and functions may lie where a person's files do.
func TestRequirementsBelowOddPaths(t *testing.T) {
	requirePip(t)
	base := t.TempDir()
	odd := mkdir(t, base, "my data ü 'x'")
	link := filepath.Join(base, "a link")
	if err := os.Symlink(odd, link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", base).Run() })
	src := source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "iniconfig==2.0.0\n", 0}))
	src.EnvsDir, src.LauncherDir, src.Dir = filepath.Join(link, "envs"), filepath.Join(link, "launchers"), mkdir(t, odd, "function")
	cmd, err := usual(t).Prepare(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err, function.AsError(err).Logs)
	}
	if out, err := exec.Command(cmd.Path, "-c", "import iniconfig").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Two servers may share the directory: each has a Set of its own.
func TestTwoServersBuildAnEnvironmentOnce(t *testing.T) {
	requirePip(t)
	envs := filepath.Join(t.TempDir(), "envs")
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", envs).Run() })
	var mu sync.Mutex
	var pips int
	paths := map[string]bool{}
	var wg sync.WaitGroup
	for range 3 {
		set := discover(t, kind.Options{})
		src := source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "iniconfig==2.0.0\n", 0}))
		src.EnvsDir = envs
		wg.Go(func() {
			cmd, err := set.Prepare(t.Context(), src, func(line string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.HasPrefix(line, "Successfully installed") {
					pips++
				}
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			paths[cmd.Path] = true
		})
	}
	wg.Wait()
	if pips != 1 || len(paths) != 1 {
		t.Errorf("%d installations, paths %v", pips, paths)
	}
}

// A server that is killed while pip runs leaves what it has so far. The next
// build takes that away and is whole.
func TestBuildThatWasKilledIsBuiltAgain(t *testing.T) {
	requirePip(t)
	src := source(t, kind.Python, zipFile(t, entry{"__main__.py", "", 0}, entry{"requirements.txt", "iniconfig==2.0.0\n", 0}))
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", src.EnvsDir).Run() })
	leaveTraces(t, src)
	src.Dir = t.TempDir()
	if _, err := usual(t).Prepare(t.Context(), src, nil); err != nil {
		t.Fatal(err, function.AsError(err).Logs)
	}
	left, _ := filepath.Glob(filepath.Join(src.EnvsDir, "*"))
	if len(left) != 2 {
		t.Errorf("left over: %v", left)
	}
}

// leaveTraces starts a build and copies, while pip is about to run, what a
// killed server would leave there.
func leaveTraces(t *testing.T, src kind.Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kept := t.TempDir()
	log := func(line string) {
		if strings.HasPrefix(line, "Collecting") {
			if out, err := exec.Command("cp", "-a", src.EnvsDir, kept).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			cancel()
		}
	}
	if _, err := usual(t).Prepare(ctx, src, log); function.CodeOf(err) != function.CodeCancelled {
		t.Fatalf("the build was not cut: %v", err)
	}
	if err := os.RemoveAll(src.EnvsDir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(kept, filepath.Base(src.EnvsDir)), src.EnvsDir); err != nil {
		t.Fatal(err)
	}
}
