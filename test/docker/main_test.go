package docker

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

const (
	// asked switches the tests that need an engine on.
	asked = "WHISKAWAY_DOCKER"
	// inside says that this process is in the namespaces already.
	inside = "WHISKAWAY_DOCKER_INSIDE"
	// baseVariable names an archive of a file system with Python and Node.js, the base of the images: no
	// registry is asked. Without it, it is where scripts/setup leaves one.
	baseVariable = "WHISKAWAY_DOCKER_BASE"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asked) == "":
		os.Exit(m.Run())
	case os.Getenv(inside) == "":
		os.Exit(enter())
	}
	code, err := withEngine(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// enter runs this test again, as process 1 of namespaces of its own. When it ends, or we do,
// the kernel ends all that is in there.
func enter() int {
	runtime.LockOSThread() // Pdeathsig follows the thread
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("unshare", slices.Concat([]string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", self}, os.Args[1:])...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests in namespaces of their own:", err)
		return 1
	}
	return 0
}

// needEngine skips a test that was not asked for.
func needEngine(t *testing.T) {
	t.Helper()
	if os.Getenv(asked) == "" {
		t.Skip("it takes a Docker engine: run `make test-docker` as root")
	}
}
