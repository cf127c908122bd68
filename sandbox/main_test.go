package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

// The test binary plays three parts: the tests, the shim, and a server that
// the tests kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "shim":
			os.Exit(sandbox.ShimMain(os.Args[2:]))
		case "server":
			playServer(os.Args[2], sandbox.Mode(os.Args[3]), os.Args[4:]...)
			return
		case "house":
			if err := playHouse(os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		case "filtered":
			fmt.Fprintln(os.Stderr, playFiltered(os.Args[2], os.Args[3:]))
			os.Exit(1)
		case "tell-walls":
			fmt.Println(sandbox.Detect(context.Background(), shimOf(""), nil).Words())
			return
		}
	}
	os.Exit(m.Run())
}

// shimOf is a shim command that carries a marker, for the search for survivors.
func shimOf(marker string) []string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	// Under the race detector a process waits a second at its exit.
	return []string{"/usr/bin/env", "GORACE=atexit_sleep_ms=0", exe, "shim", marker}
}

// modes lists what to test here: what Detect and Find find, and the fallback.
func modes(t *testing.T) map[string]sandbox.Walls {
	t.Helper()
	found := sandbox.Detect(t.Context(), shimOf(""), nil)
	t.Logf("detected: %v (%s)", found.Words(), found.Refused)
	return map[string]sandbox.Walls{string(found.Mode): found, "fallback": {}, "full": full(t)}
}

// full is the strongest that can be had here.
func full(t *testing.T, hidden ...string) sandbox.Walls {
	t.Helper()
	walls, err := sandbox.Find(t.Context(), sandbox.Options{Shim: shimOf(""), Users: true, Hidden: hidden})
	if err != nil {
		t.Fatal(err)
	}
	return walls
}

// needView skips a test where commands see the files as they are.
func needView(t *testing.T, walls sandbox.Walls) {
	t.Helper()
	if !walls.PrivateTemp() {
		t.Skipf("there is no private view of files here: %q", walls.Missing())
	}
}

// publicCopy copies the test binary to where any user may execute it.
func publicCopy(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "server")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// asNobody makes cmd run as a user without any privilege.
func asNobody(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
}
