package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Main builds the binary as users get it, calls use with its path, runs the
// tests, and returns the exit status. root is the repository's, as the tests see it.
func Main(m *testing.M, root string, use func(binary string)) int {
	dir, err := os.MkdirTemp("", "whiskaway-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some tests run it as another user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary := filepath.Join(dir, "whiskaway")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/whiskaway")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
		return 1
	}
	use(binary)
	return m.Run()
}
