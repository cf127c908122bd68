package kind_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

var npmWorks = sync.OnceValue(func() error {
	out, err := exec.Command("npm", "view", "is-number@7.0.0", "version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// requireNPM skips where the package index cannot be reached, unless the
// environment says that it must be.
func requireNPM(t *testing.T) {
	t.Helper()
	if !usual(t).Serves(kind.NodeJS) {
		t.Skip("there is no Node.js here")
	}
	if err := npmWorks(); err != nil && os.Getenv("WHISKAWAY_NEED_INDEX") == "" {
		t.Skipf("no package index can be reached: %v", err)
	}
}

const (
	numberPackage = `{"name": "f", "main": "start.js", "scripts": {"preinstall": "exit 1"}, "dependencies": {"is-number": "7.0.0"}, "devDependencies": {"is-odd": "*"}}`
	numberLock    = `{"lockfileVersion": 3, "packages": {"": {"dependencies": {"is-number": "7.0.0"}, "devDependencies": {"is-odd": "*"}},
		"node_modules/is-number": {"version": "7.0.0"}, "node_modules/is-odd": {"version": "3.0.1", "dev": true, "dependencies": {"is-number": "^6.0.0"}},
		"node_modules/is-odd/node_modules/is-number": {"version": "6.0.0", "dev": true}}}`
	numberCode = "const is = require('is-number'); exports.main = () => is(1)"
)

func TestNodeDependenciesAreInstalledOnce(t *testing.T) {
	requireNPM(t)
	envs, npms := newEnvs(t), 0
	log := func(line string) {
		if line == "installing the dependencies of package.json (once)" {
			npms++
		}
	}
	code := []entry{{"package.json", numberPackage, 0}, {"start.js", numberCode, 0}, {".npmrc", "registry=https://evil.example/\n", 0}}
	first := prepareIn(t, usual(t), envs, source(t, kind.NodeJS, zipFile(t, code...)), log)
	second := prepareIn(t, usual(t), envs, source(t, kind.NodeJS, zipFile(t, append(code, entry{"more.js", "", 0})...)), log)
	if first.EnvDir != second.EnvDir || npms != 1 {
		t.Errorf("%s, then %s, with %d installations", first.EnvDir, second.EnvDir, npms)
	}
	locked := prepareIn(t, usual(t), envs, source(t, kind.NodeJS, zipFile(t, append(code, entry{"package-lock.json", numberLock, 0})...)), log)
	if locked.EnvDir == first.EnvDir || npms != 2 {
		t.Errorf("the lock file makes no difference")
	}
	for _, cmd := range []kind.Command{first, second, locked} {
		if out, err := exec.Command(cmd.Path, "-e", "if (require('./start.js').main() !== true) throw 1").CombinedOutput(); err == nil {
			t.Errorf("it ran outside of its directory: %s", out)
		}
		run := exec.Command(cmd.Path, "-e", "if (require('./start.js').main() !== true) throw 1; import('is-number')")
		run.Dir = cmd.Dir
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if _, err := os.Stat(filepath.Join(cmd.Dir, "node_modules", "is-odd")); err == nil {
			t.Error("what only development needs is there too")
		}
	}
}

func TestNodeDependenciesThatCannotBeHad(t *testing.T) {
	requireNPM(t)
	prepare := func(pkg string) error {
		src := source(t, kind.NodeJS, zipFile(t, entry{"package.json", pkg, 0}, entry{"index.js", "", 0}))
		_, err := usual(t).Prepare(t.Context(), src, nil)
		return err
	}
	wantFault(t, prepare(`{"dependencies": {"is-number": "^999.0.0"}}`), function.CodeInitFailed, "notarget No matching version found for is-number@^999.0.0")
	wantFault(t, prepare(`{"dependencies": {"x": "file:../.."}}`), function.CodeInitFailed, `"x": "file:../..": paths are not allowed`)
	wantFault(t, prepare(`{"dependencies": ["x"]}`), function.CodeInitFailed, "package.json cannot be read")
}

// With its own node_modules, or without dependencies, a package needs no npm.
func TestPackagesThatNeedNoNPM(t *testing.T) {
	if !usual(t).Serves(kind.NodeJS) {
		t.Skip("there is no Node.js here")
	}
	for _, entries := range [][]entry{
		{{"package.json", numberPackage, 0}, {"start.js", numberCode, 0}, {"node_modules/is-number/index.js", "module.exports = () => true", 0}},
		{{"package.json", `{"devDependencies": {"x": "file:.."}}`, 0}, {"index.js", "", 0}},
	} {
		src := source(t, kind.NodeJS, zipFile(t, entries...))
		cmd, err := usual(t).Prepare(t.Context(), src, nil)
		if err != nil || cmd.EnvDir != "" {
			t.Errorf("%+v, %v", cmd, err)
		}
		if left, _ := filepath.Glob(filepath.Join(src.EnvsDir, "*")); len(left) > 0 {
			t.Errorf("something was installed: %v", left)
		}
	}
}

// A virtualenv that the archive brings makes pip needless; its links to the Python that
// made it are dropped.
func TestVirtualenvNeedsNoPip(t *testing.T) {
	src := source(t, kind.Python, tarFile(t, true,
		member{name: "__main__.py"}, member{name: "requirements.txt", text: "no-such-package-at-all"}, member{name: "virtualenv/lib/python3/site-packages/x.py"},
		member{name: "virtualenv/bin/python", link: "/usr/local/bin/python3.9"}, member{name: "virtualenv/bin/python3", link: "python"}))
	cmd, err := usual(t).Prepare(t.Context(), src, nil)
	if err != nil || cmd.EnvDir != "" || strings.Contains(cmd.Path, src.EnvsDir) {
		t.Errorf("%+v, %v", cmd, err)
	}
}
