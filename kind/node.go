package kind

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// prepareNode takes source text, or an archive with a package.json or an index.js.
// Where it brings no node_modules, the dependencies are installed.
func (s *Set) prepareNode(ctx context.Context, node interpreter, src Source, log func(string)) (Command, error) {
	// Whether text is a CommonJS or an ES module only shows when it is
	// compiled. The launcher tries the first name, then the second.
	archive, err := place(ctx, src, "index.cjs", 0o644)
	if err != nil {
		return Command{}, err
	}
	if err := asText(src, archive); err != nil {
		return Command{}, err
	}
	if isPrecompiled(src, archive) {
		return s.precompiled(src, archive, node)
	}
	c := Command{Path: node.Path, Readable: node.Readable}
	entry, form := "index.cjs", "text"
	if archive == "" {
		err = os.Link(filepath.Join(src.Dir, "index.cjs"), filepath.Join(src.Dir, "index.mjs"))
	} else {
		form = "package"
		entry, c, err = s.nodePackage(ctx, node, src, archive, log)
	}
	if err != nil {
		return Command{}, err
	}
	launcher, err := placeLauncher(src.LauncherDir, nodeLauncher)
	if err != nil {
		return Command{}, err
	}
	c.Args = []string{launcher, form, filepath.Join(src.Dir, entry), src.Main}
	c.Env = s.baseEnv(src, c.Path)
	c.Readable = append(c.Readable, filepath.Dir(launcher))
	return c, nil
}

// nodePackage finds the file to load, and sees to the package's dependencies.
func (s *Set) nodePackage(ctx context.Context, node interpreter, src Source, archive string, log func(string)) (entry string, c Command, err error) {
	c = Command{Path: node.Path, Readable: node.Readable}
	text, err := readList(src.Dir, "package.json")
	if errors.Is(err, fs.ErrNotExist) {
		text, err = []byte("{}"), nil
	}
	if err != nil {
		return "", c, err
	}
	if entry, err = nodeEntry(src.Dir, text, archive); err != nil || exists(filepath.Join(src.Dir, "node_modules")) {
		return entry, c, err
	}
	var pkg nodePackage
	if err := json.Unmarshal(text, &pkg); err != nil {
		return "", c, fault("the archive's package.json cannot be read: %v", err)
	}
	if !pkg.needsModules() {
		return entry, c, nil
	}
	if c.EnvDir, err = s.nodeModules(ctx, node, src, pkg, log); err != nil {
		return "", c, err
	}
	err = os.Symlink(filepath.Join(c.EnvDir, "package", "node_modules"), filepath.Join(src.Dir, "node_modules"))
	if err != nil {
		return "", c, ours("linking the function's dependencies", err)
	}
	return entry, c.in(c.EnvDir), nil
}

// nodeEntry finds the file to load, as Node.js does for a directory with that package.json.
func nodeEntry(dir string, text []byte, archive string) (string, error) {
	var pkg struct {
		Main string `json:"main"`
	}
	if err := json.Unmarshal(text, &pkg); err != nil {
		return "", fault("the archive's package.json cannot be read: %v", err)
	}
	for _, name := range []string{pkg.Main, pkg.Main + ".js", pkg.Main + "/index.js", "index.js", "index.mjs", "index.cjs"} {
		if name == "" || !filepath.IsLocal(name) {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return name, nil
		}
	}
	if pkg.Main != "" {
		return "", fault("the archive's package.json names %q as main, but there is no such file", pkg.Main)
	}
	return "", fault("the %s has neither a package.json with a main nor an index.js at its top%s", archive, elsewhere(dir, "package.json", "index.js"))
}
