package kind

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bundle makes of the code, in the empty directory into, what can be sent as a precompiled action: an
// executable called exec, an ActionLoop for any action proxy, with all that it needs.
// Errors are those of Prepare.
func (s *Set) Bundle(ctx context.Context, src Source, into string, log func(string)) error {
	b := *s
	b.bundling = true
	c, err := b.Prepare(ctx, src, log)
	if err != nil {
		return err
	}
	if err := fill(into, src, c); err != nil {
		return ours("making a bundle", err)
	}
	if s.proxy.ExecutionEnv == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(into, executionEnvFile), []byte(s.proxy.ExecutionEnv), 0o644); err != nil {
		return ours("making a bundle", err)
	}
	return nil
}

// fill copies what belongs to a command into a bundle.
func fill(into string, src Source, c Command) error {
	switch {
	case len(c.Args) > 0:
		return errors.Join(copyTree(into, src.Dir), fillLaunched(into, src, c))
	case filepath.Dir(c.Path) == c.EnvDir: // of an environment, all else is ours
		return copyFile(filepath.Join(into, "exec"), c.Path, 0o755)
	}
	return copyTree(into, filepath.Dir(c.Path))
}

// The names of ours in a bundle. Such a name is no function's, as far as one can say.
const bundledLauncher = "exec__"

// fillLaunched adds to a function's code the launcher, the dependencies, and the script that starts them.
func fillLaunched(into string, src Source, c Command) error {
	launcher := bundledLauncher + filepath.Ext(c.Args[0])
	program := "node"
	if filepath.Ext(launcher) == pythonLauncher.extension {
		program = "python3"
	}
	line := []string{"exec", program, launcher}
	for _, arg := range c.Args[1:] {
		if rel, err := filepath.Rel(src.Dir, arg); filepath.IsAbs(arg) && err == nil && filepath.IsLocal(rel) {
			line = append(line, `"$PWD"/`+quoted(rel))
			continue
		}
		line = append(line, quoted(arg))
	}
	script := "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\n" + strings.Join(line, " ") + "\n"
	return errors.Join(
		copyFile(filepath.Join(into, launcher), c.Args[0], 0o644),
		os.WriteFile(filepath.Join(into, "exec"), []byte(script), 0o755),
		fillDependencies(into, c.EnvDir),
	)
}

// quoted is text for a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// fillDependencies adds what an environment holds, where the launchers look for it.
func fillDependencies(into, env string) error {
	if env == "" {
		return nil
	}
	if modules := filepath.Join(env, "package", "node_modules"); exists(modules) {
		return copyTree(filepath.Join(into, "node_modules"), modules)
	}
	libraries, err := filepath.Glob(filepath.Join(escaped(env), "venv", "lib", "python*", "site-packages"))
	if err != nil {
		return err
	}
	for _, packages := range libraries {
		version := filepath.Base(filepath.Dir(packages))
		err = errors.Join(err, copyTree(filepath.Join(into, "virtualenv", "lib", version, "site-packages"), packages))
	}
	return err
}

// copyTree copies a directory: its files, as executable as they are, and its links. Links out of it, which
// lead to what is copied by itself, and what Python compiles again are left out.
func copyTree(into, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(into, rel)
		switch {
		case d.IsDir() && d.Name() == "__pycache__":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			return copyLink(target, path)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file, a directory nor a link", rel)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return copyFile(target, path, 0o644|info.Mode().Perm()&0o111)
	})
}

func copyLink(target, path string) error {
	to, err := os.Readlink(path)
	if err != nil || filepath.IsAbs(to) {
		return err
	}
	return os.Symlink(to, target)
}

// WriteZip packs a directory. The same content gives the same bytes.
func WriteZip(w io.Writer, dir string) error {
	z := zip.NewWriter(w)
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(paths)
	for _, path := range paths {
		if err := addToZip(z, dir, path); err != nil {
			return err
		}
	}
	return z.Close()
}

// zipTime is the earliest that a zip can tell. What is packed has no time of its own.
var zipTime = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// addToZip adds one file, link or directory.
func addToZip(z *zip.Writer, dir, path string) error {
	name, err1 := filepath.Rel(dir, path)
	info, err2 := os.Lstat(path)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	h := &zip.FileHeader{Name: filepath.ToSlash(name), Method: zip.Deflate, Modified: zipTime}
	h.SetMode(info.Mode()&fs.ModeType | 0o644 | info.Mode().Perm()&0o111)
	if info.IsDir() {
		h.Name += "/"
		h.SetMode(fs.ModeDir | 0o755)
	}
	out, err := z.CreateHeader(h)
	if err != nil || info.IsDir() {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, to)
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(out, in)
	return err
}
