package harness

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// StartRuntime starts `whiskaway runtime` on a free port, and returns its URL. line is
// the binary, perhaps with a command before it that becomes the binary.
func StartRuntime(t *testing.T, line []string, env ...string) (*Process, string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := Start(t, slices.Concat(line, []string{"runtime", "--listen", "127.0.0.1:0"}), append(env, "WHISKAWAY_READY_FD=3"), w)
	w.Close()
	address := make([]byte, 64)
	n, err := r.Read(address)
	if err != nil {
		t.Fatalf("the runtime did not say where it listens: %v\n%s", err, p.Stderr)
	}
	return p, "http://" + strings.TrimSpace(string(address[:n]))
}
