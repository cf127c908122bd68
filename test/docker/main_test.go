package docker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
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
func outside() error {
	dir, err := os.MkdirTemp("", "whiskaway-docker-")
	if err != nil {
		return err
	}
	return errors.Join(enter(dir), removeGroups(filepath.Base(dir)), os.RemoveAll(dir))
}

// removeGroups removes the control groups of the engine's containers. Where the tests were killed, their processes
// may be about to end: then it waits for them.
func removeGroups(name string) error {
	deadline := time.Now().Add(patience)
	for {
		left, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
		left = append(left, "/sys/fs/cgroup/"+name)
		left = slices.DeleteFunc(left, func(dir string) bool {
			within, _ := filepath.Glob(dir + "/*/")
			for _, group := range append(within, dir) {
				os.Remove(group)
			}
			_, err := os.Stat(dir)
			return err != nil
		})
		switch {
		case len(left) == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("control groups that cannot be removed: %v", left)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// needEngine skips a test that was not asked for.
func needEngine(t *testing.T) {
	t.Helper()
	if os.Getenv(asked) == "" {
		t.Skip("it takes a Docker engine: run `make test-docker` as root")
	}
}
