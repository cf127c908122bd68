package kind

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// preparePython takes source text, or a zip with a __main__.py. Where the zip
// has a requirements.txt, the interpreter is that of an environment which holds
// what it lists.
func (s *Set) preparePython(ctx context.Context, src Source, log func(string)) (Command, error) {
	const text, archive = "main__.py", "__main__.py"
	unpacked, err := place(ctx, src, text, 0o644)
	if err != nil {
		return Command{}, err
	}
	if err := asText(src, unpacked); err != nil {
		return Command{}, err
	}
	entry := text
	if unpacked {
		entry = archive
		if !exists(filepath.Join(src.Dir, archive)) {
			return Command{}, fault("the zip has no __main__.py at its top")
		}
	}
	python, path := s.python.path, s.path
	list, err := readList(src.Dir, "requirements.txt")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Command{}, err
	}
	if unpacked && err == nil {
		env, err := s.pythonEnv(ctx, src, string(list), log)
		if err != nil {
			return Command{}, err
		}
		python, path = envPython(env), filepath.Dir(envPython(env))+":"+path
	}
	launcher, err := placeLauncher(src.LauncherDir, pythonLauncher)
	if err != nil {
		return Command{}, err
	}
	return Command{
		Path: python,
		Args: []string{launcher, filepath.Join(src.Dir, entry), src.Main},
		Env:  append(s.baseEnv(src, path), "PYTHONUTF8=1"),
	}, nil
}
