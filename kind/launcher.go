package kind

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the launchers
	"fmt"
	"os"
	"path/filepath"
)

//go:embed launcher.py
var pythonText []byte

//go:embed launcher.mjs
var nodeText []byte

// A launcher is a small program of ours that loads a function and speaks the
// worker protocol for it.
type launcher struct {
	extension string
	text      []byte
}

var (
	pythonLauncher = launcher{".py", pythonText}
	nodeLauncher   = launcher{".mjs", nodeText}
)

// placeLauncher writes a launcher into dir under a name that its content
// gives, once, and returns the path. Servers of different versions can share dir.
func placeLauncher(dir string, l launcher) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", ours("finding the launchers", err)
	}
	path := filepath.Join(dir, fmt.Sprintf("launcher-%x%s", sha256.Sum256(l.text), l.extension))
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, l.text) {
		return path, nil
	}
	if err := writeWhole(path, l.text); err != nil {
		return "", ours("writing a launcher", err)
	}
	return path, nil
}

// writeWhole makes a file appear with all of its content at once.
func writeWhole(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
