package kind

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// prepareNode takes source text, or a zip with a package.json or an index.js.
func (s *Set) prepareNode(ctx context.Context, src Source) (Command, error) {
	// Whether text is a CommonJS or an ES module only shows when it is
	// compiled. The launcher tries the first name, then the second.
	unpacked, err := place(ctx, src, "index.cjs", 0o644)
	if err != nil {
		return Command{}, err
	}
	if err := asText(src, unpacked); err != nil {
		return Command{}, err
	}
	entry, form := "index.cjs", "text"
	if unpacked {
		form = "package"
		entry, err = nodeEntry(src.Dir)
	} else {
		err = os.Link(filepath.Join(src.Dir, "index.cjs"), filepath.Join(src.Dir, "index.mjs"))
	}
	if err != nil {
		return Command{}, err
	}
	launcher, err := placeLauncher(src.LauncherDir, nodeLauncher)
	if err != nil {
		return Command{}, err
	}
	return Command{
		Path: s.node.path,
		Args: []string{launcher, form, filepath.Join(src.Dir, entry), src.Main},
		Env:  s.baseEnv(src, s.path),
	}, nil
}

// nodeEntry finds the file to load, as Node.js does for a directory.
func nodeEntry(dir string) (string, error) {
	text, err := readList(dir, "package.json")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var pkg struct {
		Main string `json:"main"`
	}
	if err == nil {
		if err := json.Unmarshal(text, &pkg); err != nil {
			return "", fault("the zip's package.json cannot be read: %v", err)
		}
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
		return "", fault("the zip's package.json names %q as main, but there is no such file", pkg.Main)
	}
	return "", fault("the zip has neither a package.json with a main nor an index.js at its top")
}
