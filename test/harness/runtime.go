package harness

import (
	"os"
	"strings"
	"testing"
)

// StartRuntime starts `whiskaway runtime` on a free port, and returns its URL.
func StartRuntime(t *testing.T, binary string, env ...string) (*Process, string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := Start(t, []string{binary, "runtime", "--listen", "127.0.0.1:0"}, append(env, "WHISKAWAY_READY_FD=3"), w)
	w.Close()
	line := make([]byte, 64)
	n, err := r.Read(line)
	if err != nil {
		t.Fatalf("the runtime did not say where it listens: %v\n%s", err, p.Stderr)
	}
	return p, "http://" + strings.TrimSpace(string(line[:n]))
}
