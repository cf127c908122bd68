package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// dataDir returns the absolute path of given, or of the default for the part
// called name under the user's state directory (XDG base directory
// specification: $XDG_STATE_HOME, else ~/.local/state).
func dataDir(given, name string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no home directory to keep data in (%w); say where with --data DIR", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "whiskaway", name), nil
}

// hostDir returns the data directory of the platform or balancer on this machine that a command
// means: the given one, or by default that of who runs, else of who has run, else the platform's.
func hostDir(given string) (string, error) {
	for _, sign := range []string{addressFile, "tokens.json"} {
		for _, name := range []string{"standalone", "balancer"} {
			dir, err := dataDir(given, name)
			if err != nil || given != "" {
				return dir, err
			}
			if _, err := os.Stat(filepath.Join(dir, sign)); err == nil {
				return dir, nil
			}
		}
	}
	return dataDir(given, "standalone")
}

// secretOf returns the token in value, or in the file that the environment
// variable fileVariable names.
func secretOf(value, fileVariable string) (string, error) {
	path := os.Getenv(fileVariable)
	if value != "" || path == "" {
		return strings.TrimSpace(value), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the token that %s names: %w", fileVariable, err)
	}
	return strings.TrimSpace(string(b)), nil
}
