package kind

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pythonPlaces are the directories that a Python needs, from what it says about itself: its path,
// its version, its prefixes, and the path of the Python that a virtual environment was made from.
func pythonPlaces(lines []string) []string {
	if len(lines) < 5 {
		return programPlaces(lines[0])
	}
	places := slices.Concat(programPlaces(lines[0]), programPlaces(lines[4]))
	for _, prefix := range lines[2:4] {
		if !isHome(prefix) {
			places = append(places, prefix)
		}
	}
	return places
}

// programPlaces are the directories of a program and of the libraries beside it. The
// prefix above them is not named: it may be somebody's home.
func programPlaces(path string) []string {
	places := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		places = append(places, filepath.Dir(real))
	}
	for _, bin := range slices.Clone(places) {
		if filepath.Base(bin) == "bin" {
			places = append(places, filepath.Join(filepath.Dir(bin), "lib"))
		}
	}
	return places
}

// isHome reports whether dir holds much more than an interpreter.
func isHome(dir string) bool {
	home, _ := os.UserHomeDir()
	return dir == "/" || dir == "/root" || dir == home || filepath.Dir(dir) == "/home"
}

// visible are the parts of the system that no sandbox hides.
var visible = []string{"/usr", "/bin", "/sbin", "/opt", "/etc", "/nix", "/lib", "/lib32", "/lib64", "/libx32"}

// hideable leaves of the directories those that are there and that a sandbox may hide, by
// their names and by what the names lead to, none of them twice.
func hideable(dirs []string) []string {
	var all []string
	for _, dir := range dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		for _, d := range []string{filepath.Clean(dir), real} {
			if !slices.ContainsFunc(visible, func(v string) bool { return isBelow(d, v) }) {
				all = append(all, d)
			}
		}
	}
	slices.Sort(all)
	var least []string
	for _, dir := range all { // what lies above comes first
		if !slices.ContainsFunc(least, func(above string) bool { return isBelow(dir, above) }) {
			least = append(least, dir)
		}
	}
	return least
}

func isBelow(dir, above string) bool { return dir == above || strings.HasPrefix(dir, above+"/") }
