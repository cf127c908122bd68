package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A nodePackage is what of a package.json matters for its dependencies. The scripts are
// left out: they would run without the function's files.
type nodePackage struct {
	Dependencies         map[string]string          `json:"dependencies,omitempty"`
	DevDependencies      map[string]string          `json:"devDependencies,omitempty"` // never installed, but npm ci compares them
	OptionalDependencies map[string]string          `json:"optionalDependencies,omitempty"`
	PeerDependencies     map[string]string          `json:"peerDependencies,omitempty"`
	PeerDependenciesMeta map[string]json.RawMessage `json:"peerDependenciesMeta,omitempty"`
	Overrides            map[string]any             `json:"overrides,omitempty"`
	Workspaces           json.RawMessage            `json:"workspaces,omitempty"`
}

func (p nodePackage) needsModules() bool {
	return len(p.Dependencies)+len(p.OptionalDependencies)+len(p.PeerDependencies) > 0
}

// check refuses what would reach beyond the package index: files of this machine, repositories.
func (p nodePackage) check() error {
	if len(p.Workspaces) > 0 {
		return fault("the archive's package.json has workspaces, which cannot be installed here; put node_modules into the archive")
	}
	for _, list := range []map[string]string{p.Dependencies, p.DevDependencies, p.OptionalDependencies, p.PeerDependencies} {
		for name, spec := range list {
			if why := refuseSpec(spec); why != "" {
				return fault("the archive's package.json, %q: %q: %s", name, spec, why)
			}
		}
	}
	return checkOverrides(p.Overrides)
}

func checkOverrides(overrides map[string]any) error {
	for name, value := range overrides {
		var err error
		switch v := value.(type) {
		case map[string]any:
			err = checkOverrides(v)
		case string:
			if why := refuseSpec(strings.TrimPrefix(v, "$")); why != "" {
				err = fault("the archive's package.json, override %q: %q: %s", name, v, why)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	plainName = regexp.MustCompile(`^(@[\w.~-]+/)?[\w~-][\w.~-]*$`)
	// A version, a range or a tag. A dot in front would make it a path.
	plainSpec = regexp.MustCompile(`^([\w*^~<>=|][\w.*^~<>=|+ -]*)?$`)
	// npm takes these for files, and other https URLs perhaps for repositories.
	tarball = regexp.MustCompile(`(?i)\.(tgz|tar\.gz|tar)$`)
)

// refuseSpec says why npm may not install that, or nothing.
func refuseSpec(spec string) string {
	spec = strings.TrimSpace(spec)
	if alias, ok := strings.CutPrefix(spec, "npm:"); ok {
		name, version := alias, ""
		if i := strings.LastIndex(alias, "@"); i > 0 {
			name, version = alias[:i], alias[i+1:]
		}
		if plainName.MatchString(name) {
			return refuseSpec(version)
		}
	}
	switch {
	case plainSpec.MatchString(spec) && !tarball.MatchString(spec):
		return ""
	case strings.HasPrefix(spec, "https://") && tarball.MatchString(spec):
		return ""
	case strings.HasPrefix(spec, "http://"), strings.HasPrefix(spec, "https://"):
		return "only https URLs of a .tgz are allowed"
	case strings.HasPrefix(spec, "file:"), strings.HasPrefix(spec, "link:"), strings.HasPrefix(spec, "."), strings.HasPrefix(spec, "~/"), strings.HasPrefix(spec, "/"), tarball.MatchString(spec):
		return "paths are not allowed; put node_modules into the archive instead"
	}
	return "only versions from the package index are allowed, no repositories; put node_modules into the archive instead"
}

// A lockFileText is a package-lock.json, of npm 7 or newer.
type lockFileText struct {
	Packages map[string]struct {
		Version  string `json:"version"`
		Resolved any    `json:"resolved"`
		Link     bool   `json:"link"`
	} `json:"packages"`
}

// checkLock refuses in a package-lock.json what check refuses in a package.json.
func checkLock(text []byte) error {
	var l lockFileText
	if err := json.Unmarshal(text, &l); err != nil {
		return fault("the archive's package-lock.json cannot be read: %v", err)
	}
	if len(l.Packages) == 0 {
		return fault("the archive's package-lock.json is of npm 6 or older; make it anew with npm 7 or newer")
	}
	for name, p := range l.Packages {
		resolved, isText := p.Resolved.(string)
		switch {
		case name != "" && !strings.HasPrefix(name, "node_modules/"), !filepath.IsLocal(name) && name != "":
			return fault("the archive's package-lock.json has %q, which is not below node_modules", name)
		case p.Link, strings.HasPrefix(resolved, "file:"), strings.ContainsAny(p.Version, ":/"):
			return fault("the archive's package-lock.json, %q: paths are not allowed; put node_modules into the archive instead", name)
		case isText && resolved != "" && !strings.HasPrefix(resolved, "https://"):
			return fault("the archive's package-lock.json, %q: %q: only https URLs are allowed", name, resolved)
		}
	}
	return nil
}

// nodeModules returns the environment that holds a package's dependencies.
func (s *Set) nodeModules(ctx context.Context, node interpreter, src Source, pkg nodePackage, log func(string)) (string, error) {
	if err := pkg.check(); err != nil {
		return "", err
	}
	list, err := json.Marshal(pkg) // maps in the order of their keys
	if err != nil {
		return "", ours("writing package.json", err)
	}
	lock, err := readLock(src.Dir)
	if err != nil {
		return "", err
	}
	npm, err := findNPM(node.Path, s.path)
	if err != nil {
		return "", err
	}
	if exists(filepath.Join(src.Dir, ".npmrc")) {
		log("the function's .npmrc is not used: which index is used is the server's choice")
	}
	return s.environment(ctx, src.EnvsDir, "node-"+keyOf("npm 1", node.Path, node.Version, string(list), string(lock)), builder{
		readable: slices.Concat(node.Readable, npm.Readable),
		log:      log,
		doing:    "installing the function's dependencies",
		build:    npmBuild{npm, list, lock}.build,
	})
}

// readLock returns the package's list of exact versions, or nothing.
func readLock(dir string) ([]byte, error) {
	for _, name := range []string{"npm-shrinkwrap.json", "package-lock.json"} {
		text, err := readFile(dir, name, maxLock)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return text, checkLock(text)
	}
	return nil, nil
}

// findNPM returns the beginning of an npm command: the one that came with this
// Node.js, else the first in PATH, in either case run by this Node.js.
func findNPM(node, path string) (Command, error) {
	for _, dir := range append([]string{filepath.Dir(node)}, filepath.SplitList(path)...) {
		real, err := filepath.EvalSymlinks(filepath.Join(dir, "npm"))
		if err != nil || !filepath.IsAbs(real) {
			continue
		}
		if !strings.HasSuffix(real, ".js") { // a script that starts it
			return Command{Path: real, Readable: hideable(programPlaces(real))}, nil
		}
		// The script is npm/bin/npm-cli.js.
		return Command{Path: node, Args: []string{real}, Readable: hideable([]string{filepath.Dir(filepath.Dir(real))})}, nil
	}
	return Command{}, fault("the function's package.json has dependencies, but this server has no npm to install them: put node_modules into the archive, or its operator must install npm (Debian: npm)")
}

// An npmBuild says what to install.
type npmBuild struct {
	npm        Command
	list, lock []byte // package.json, and package-lock.json if there is one
}

func (n npmBuild) build(ctx context.Context, b builder) error {
	b.log("installing the dependencies of package.json (once)")
	dir := filepath.Join(b.dir, "package")
	err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "package.json"), n.list, 0o644))
	how := "install"
	if n.lock != nil {
		how = "ci" // exactly what the lock file says
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "package-lock.json"), n.lock, 0o644))
	}
	if err != nil {
		return ours("writing package.json", err)
	}
	c := n.npm
	c.Dir = dir
	c.Args = slices.Concat(c.Args, []string{how, "--omit=dev", "--no-audit", "--no-fund", "--no-progress", "--no-update-notifier"})
	if out, err := b.run(ctx, c); err != nil {
		return b.failed(ctx, fmt.Sprintf("npm could not install the function's dependencies: %s", npmError(out)), out, err)
	}
	return nil
}

// npmError picks npm's line that says what was wrong.
func npmError(out string) string {
	for line := range strings.Lines(out) {
		_, text, ok := strings.Cut(strings.TrimSpace(line), "npm error ")
		if !ok {
			_, text, ok = strings.Cut(line, "npm ERR! ") // until npm 10
		}
		first, _, _ := strings.Cut(text, " ")
		if ok && !slices.Contains([]string{"code", "errno", "syscall", "path", "command", "A"}, first) {
			return strings.TrimSpace(text)
		}
	}
	return "see its output"
}
