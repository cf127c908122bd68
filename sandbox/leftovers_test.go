package sandbox_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

// Walls leave nothing: no mount, no file descriptor, no file.
func TestWallsLeaveNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts in /proc")
	}
	dir := openTree(t, "temp/", "cache/", "code/main")
	walls := full(t, dir)
	rounds := 20
	if os.Getenv("WHISKAWAY_SLOW") != "" {
		rounds = 1000
	}
	run := func() {
		err := sandbox.Run(t.Context(), sandbox.Config{
			Path: "/bin/sh", Args: []string{"-c", "echo x > /dev/null"}, Dir: filepath.Join(dir, "code"), Temp: filepath.Join(dir, "temp"),
			Writable: []string{filepath.Join(dir, "cache")}, User: 20001, Shim: shimOf(""), Walls: walls,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	run()
	mounts, files := mountTable(t), openFiles(t)
	for range rounds {
		run()
	}
	if got := mountTable(t); got != mounts {
		t.Errorf("mounts before:\n%s\nafter:\n%s", mounts, got)
	}
	if got := openFiles(t); got > files {
		t.Errorf("%d open files before, %d after", files, got)
	}
}

func mountTable(t *testing.T) string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(table)
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
