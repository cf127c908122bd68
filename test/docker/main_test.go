package docker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const (
	// asked switches the tests that need an engine on.
	asked = "WHISKAWAY_DOCKER"
	// inside is the engine's directory, for the process that is in the namespaces already.
	inside = "WHISKAWAY_DOCKER_INSIDE"
	// baseVariable names an archive of a file system with Python and Node.js, the base of the images: no
	// registry is asked. Without it, it is where scripts/setup leaves one.
	baseVariable = "WHISKAWAY_DOCKER_BASE"
)

func TestMain(m *testing.M) {
	if os.Getenv(asked) == "" {
		os.Exit(m.Run())
	}
	code := 0
	var err error
	if dir := os.Getenv(inside); dir != "" {
		code, err = withEngine(dir, m.Run)
	} else {
		err = outside()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// outside runs this test again in namespaces of its own, and takes away what is left of it, also when it was killed.
func outside() (err error) {
	dir, err := os.MkdirTemp("", "whiskaway-docker-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	defer removeGroups(filepath.Base(dir))
	return enter(dir)
}

// removeGroups removes the control groups of the engine's containers, which are empty by now.
func removeGroups(name string) {
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	for _, dir := range append(dirs, "/sys/fs/cgroup/"+name) {
		within, _ := filepath.Glob(dir + "/*/")
		for _, group := range append(within, dir) {
			os.Remove(group)
		}
	}
}

// needEngine skips a test that was not asked for.
func needEngine(t *testing.T) {
	t.Helper()
	if os.Getenv(asked) == "" {
		t.Skip("it takes a Docker engine: run `make test-docker` as root")
	}
}
