package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHostDirIsOfWhoRuns(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	platform, balancer := filepath.Join(state, "whiskaway", "standalone"), filepath.Join(state, "whiskaway", "balancer")
	check := func(given, want string) {
		t.Helper()
		if dir, err := hostDir(given); err != nil || dir != want {
			t.Errorf("%s, %v; want %s", dir, err, want)
		}
	}
	put := func(dir, name string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check("", platform)
	put(balancer, "tokens.json")
	check("", balancer)
	put(platform, "tokens.json")
	check("", platform) // both have run
	put(balancer, addressFile)
	check("", balancer) // but this one runs
	check(state, state)
}
