package kind

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// preparePython takes source text, or an archive with a __main__.py. Where the archive
// has a requirements.txt, the interpreter is that of an environment which holds
// what it lists; unless it brings a virtualenv, whose packages the launcher finds.
func (s *Set) preparePython(ctx context.Context, python interpreter, src Source, log func(string)) (Command, error) {
	const text, main = "main__.py", "__main__.py"
	archive, err := place(ctx, src, text, 0o644)
	if err != nil {
		return Command{}, err
	}
	if err := asText(src, archive); err != nil {
		return Command{}, err
	}
	if isPrecompiled(src, archive) {
		return s.precompiled(src, archive, python)
	}
	entry := text
	if archive != "" {
		entry = main
		if !exists(filepath.Join(src.Dir, main)) {
			return Command{}, fault("the %s has no __main__.py at its top%s", archive, elsewhere(src.Dir, main))
		}
	}
	c := Command{Path: python.Path, Readable: python.Readable}
	if archive != "" && !exists(filepath.Join(src.Dir, "virtualenv")) {
		if c, err = s.withRequirements(ctx, python, src, log); err != nil {
			return Command{}, err
		}
	}
	launcher, err := placeLauncher(src.LauncherDir, pythonLauncher)
	if err != nil {
		return Command{}, err
	}
	c.Args = []string{launcher, filepath.Join(src.Dir, entry), src.Main}
	c.Env = append(s.baseEnv(src, c.Path), "PYTHONUTF8=1")
	c.Readable = append(c.Readable, filepath.Dir(launcher))
	return c, nil
}

// withRequirements is the beginning of a command whose Python has what the archive asks for.
func (s *Set) withRequirements(ctx context.Context, python interpreter, src Source, log func(string)) (Command, error) {
	c := Command{Path: python.Path, Readable: python.Readable}
	list, err := readList(src.Dir, "requirements.txt")
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.EnvDir, err = s.pythonEnv(ctx, python, src, string(list), log)
	c.Path = envPython(c.EnvDir)
	return c.in(c.EnvDir), err
}
