package test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// A scaled is a balancer that starts its servers itself, and a client of it.
type scaled struct {
	t        *testing.T
	home     string
	address  string
	args     []string
	share    string // a directory of the functions
	workers  int    // that the function may have at one server; 0: any number
	balancer *process
	client   *wire.Client
}

// newScaled starts a balancer with these flags. SHARE stands for the functions' directory.
func newScaled(t *testing.T, args ...string) *scaled {
	t.Helper()
	s := &scaled{t: t, home: t.TempDir(), address: ownLoopback() + ":0", share: shared(t)}
	for _, a := range args {
		s.args = append(s.args, strings.ReplaceAll(a, "SHARE", s.share))
	}
	s.start()
	client, err := wire.NewClient(wire.ClientConfig{URL: "http://" + s.address, Token: readToken(t, s.home, "client")})
	if err != nil {
		t.Fatal(err)
	}
	s.client = client
	t.Cleanup(func() { client.Close() })
	return s
}

func (s *scaled) start() {
	s.t.Helper()
	s.balancer = start(s.t, nil, nil, append([]string{"balancer", "--listen", s.address, "--data", s.home}, s.args...)...)
	s.address = strings.TrimPrefix(s.balancer.waitFor(`balancer listening on (\S+)`), "http://")
}

// waits is a function that notes its run, and ends when there is a file called "go".
const waits = `#!/bin/bash
echo '{"ok":true}' >&3
while read -r line; do
	echo run >>%[1]s/ran
	while [ ! -e %[1]s/go ]; do sleep 0.05; done
	echo '{"done":true}' >&3
done
`

// spec is a function of that label, and its code.
func (s *scaled) spec(label string) (function.Spec, []byte) {
	code := zipOf(s.t, map[string]string{"exec": fmt.Sprintf(waits, s.share)})
	spec := function.Spec{Namespace: "guest", Action: "waits", Kind: "native", Main: "main", Code: function.DigestOf(code)}
	spec.Require.Labels, spec.Require.Workers = []string{label}, s.workers
	return spec, code
}

// init makes it ready, which starts a server if there is none.
func (s *scaled) init(label string) (function.ID, function.Claim, error) {
	spec, code := s.spec(label)
	lease := function.Lease{ID: function.NewLeaseID(), TTL: 5 * time.Minute}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	id, err := function.InitWithCode(ctx, s.client, spec, lease, func() (io.ReadCloser, error) { return fileOf(code), nil })
	return id, function.Claim{Lease: lease.ID, Namespace: spec.Namespace}, err
}

func (s *scaled) mustInit(label string) (function.ID, function.Claim) {
	s.t.Helper()
	id, claim, err := s.init(label)
	if err != nil {
		s.t.Fatalf("init: %v", err)
	}
	return id, claim
}

// run returns how the run ended.
func (s *scaled) run(id function.ID, claim function.Claim) error {
	act := function.Activation{Body: function.BytesBody([]byte(runBody(`{}`, "id", time.Now().Add(patience)))), Timeout: patience}
	sum, err := s.client.Run(s.t.Context(), id, claim, &act, function.OutputFunc(func(function.Stream, []byte) error { return nil }))
	if err == nil && sum.Outcome != function.OutcomeOK {
		err = fmt.Errorf("%s: %s", sum.Outcome, sum.Error)
	}
	return err
}

// goOn lets the runs end, and further ones at once.
func (s *scaled) goOn() {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.share, "go"), nil, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// ran waits until n runs have begun.
func (s *scaled) ran(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d runs", n), func() bool {
		b, _ := os.ReadFile(filepath.Join(s.share, "ran"))
		return strings.Count(string(b), "\n") >= n
	})
}

// servers are the processes of servers whose data is under the directory.
func servers(dir string) []string {
	return slices.DeleteFunc(processesWith(dir), func(p string) bool { return !strings.Contains(p, " server --balancer ") })
}

// awaitServers waits until that many processes of servers are there.
func awaitServers(t *testing.T, dir string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d servers", n), func() bool { return len(servers(dir)) == n })
}
