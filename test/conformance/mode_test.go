package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/test/harness"
)

// A mode is a way to run functions: here, or on a server.
type mode struct {
	name   string
	target string // what follows the name in main
	env    []string
	share  string // a directory that functions may write to, and tests can see
}

func localMode(t *testing.T) mode {
	return mode{name: "local", share: shareDir(t)}
}

// clientMode starts a balancer, and a server that joins it by dialling.
func clientMode(t *testing.T) mode {
	t.Helper()
	share, dir := shareDir(t), t.TempDir()
	balancer := harness.Start(t, []string{binary, "balancer", "--listen", "127.0.0.1:0", "--data", dir}, nil)
	url := balancer.WaitFor(`balancer listening on (\S+)`)
	server := harness.Start(t, []string{binary, "server", "--balancer", url, "--token", token(t, dir, "join"), "--label", "box",
		"--data", t.TempDir(), "--share", share, "--lease-grace", "1s"}, nil)
	server.WaitFor(`joined`)
	return mode{name: "client", target: "@box", share: share,
		env: []string{"WHISKAWAY_BALANCER=" + url, "WHISKAWAY_TOKEN=" + token(t, dir, "client")}}
}

func token(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "tokens", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// shareDir returns a directory that every user may write to: functions on a
// server have users of their own.
func shareDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "whiskaway-share-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}
