package kind

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadableNamesNoHome(t *testing.T) {
	base := t.TempDir()
	t.Setenv("HOME", base)
	for _, dir := range []string{"bin", "lib", "other"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	python := filepath.Join(base, "bin", "python3")
	if err := os.Symlink("/usr/bin/env", python); err != nil {
		t.Fatal(err)
	}
	got := hideable(pythonPlaces([]string{python, "3.11.7", base, base, python}))
	if want := []string{filepath.Join(base, "bin"), filepath.Join(base, "lib")}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = hideable(pythonPlaces([]string{python, "3.11.7", filepath.Join(base, "other"), "/usr", "/usr/bin/python3"}))
	if want := []string{filepath.Join(base, "bin"), filepath.Join(base, "lib"), filepath.Join(base, "other")}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHideableFollowsLinksAndDropsWhatIsBelow(t *testing.T) {
	base := t.TempDir()
	real := filepath.Join(base, "real")
	if err := os.MkdirAll(filepath.Join(real, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	got := hideable([]string{"/usr/bin", "/etc", "/library/none", filepath.Join(real, "inner"), link, base + "/missing"})
	if want := []string{link, real}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
