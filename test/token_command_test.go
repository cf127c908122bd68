package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokensCanBePrinted(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	p.waitFor(`balancer listening on (\S+)`)
	for _, role := range []string{"join", "client", "admin"} {
		want, err := os.ReadFile(filepath.Join(dir, "tokens", role))
		if err != nil {
			t.Fatal(err)
		}
		if got := run(t, "token", role, "--data", dir); got != string(want) || len(got) < 20 {
			t.Errorf("token %s printed something else than the file holds", role)
		}
	}
	if said := fails(t, "token", "root", "--data", dir); !strings.Contains(said, "join, client and admin") {
		t.Errorf("an unknown role: %s", said)
	}
	if said := fails(t, "token"); !strings.Contains(said, "say which token") {
		t.Errorf("no role: %s", said)
	}
	if said := fails(t, "token", "join", "--data", t.TempDir()); !strings.Contains(said, "--data") {
		t.Errorf("an empty directory: %s", said)
	}
}
