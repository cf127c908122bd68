package server

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCacheKeepsTheRecentlyUsedWithinItsLimit(t *testing.T) {
	c, err := openCaches(t.TempDir(), 100<<10, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, _, err := c.of("guest")
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := c.of("other")
	if err != nil || other == dir {
		t.Fatal(other, err)
	}
	write := func(path string, age time.Duration) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 40<<10), 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "hub/old"), 3*time.Hour)
	write(filepath.Join(dir, "hub/recent"), time.Minute)
	write(filepath.Join(other, "old"), 5*time.Hour)
	if freed := c.trim(); freed != 0 {
		t.Errorf("%d bytes went though all are within the limit", freed)
	}
	write(filepath.Join(dir, "hub/middle"), time.Hour)
	if freed := c.trim(); freed < 40<<10 {
		t.Errorf("only %d bytes went", freed)
	}
	for path, want := range map[string]bool{dir + "/hub/old": false, dir + "/hub/middle": true, dir + "/hub/recent": true, other + "/old": true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCacheGroupsStayOverARestart(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives directories to groups")
	}
	dir, u := t.TempDir(), newUsers("x", 1<<32-1)
	groups := map[string]int{}
	for range 2 {
		c, err := openCaches(dir, 1<<20, u)
		if err != nil {
			t.Fatal(err)
		}
		for _, ns := range []string{"one", "two"} {
			_, group, err := c.of(ns)
			if err != nil || group == 0 {
				t.Fatal(group, err)
			}
			if before, known := groups[ns]; known && before != group {
				t.Errorf("%s had the group %d, now %d", ns, before, group)
			}
			groups[ns] = group
		}
	}
	if groups["one"] == groups["two"] {
		t.Errorf("two namespaces share the group %d", groups["one"])
	}
}
