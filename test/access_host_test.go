package test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/wire"
)

// A tenantHost is a real host, a server or a balancer with a server behind it,
// that knows tokens which are good for one namespace each.
type tenantHost struct {
	url, dir string
	server   *process // where the functions run
}

// The secrets of a tenantHost, by whom they are for.
const (
	aliceSecret = "wa_client_of-alice-only"
	bobSecret   = "wa_client_of-bob-only"
	wholeSecret = "wa_client_of-the-whole-host"
	joinSecret  = "wa_join_of-the-host"
	adminSecret = "wa_admin_of-the-host"
)

// tenantTokens writes a tokens.json, as a host's operator would.
func tenantTokens(t *testing.T, dir string) {
	t.Helper()
	type entry struct {
		ID        string `json:"id"`
		Role      string `json:"role"`
		Namespace string `json:"namespace,omitempty"`
		SHA256    string `json:"sha256"`
	}
	of := func(id, role, namespace, secret string) entry {
		sum := sha256.Sum256([]byte(secret))
		return entry{id, role, namespace, hex.EncodeToString(sum[:])}
	}
	text, err := json.Marshal([]entry{
		of("alice", "client", "alice", aliceSecret), of("bob", "client", "bob", bobSecret), of("whole", "client", "", wholeSecret),
		of("servers", "join", "", joinSecret), of("people", "admin", "", adminSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokens.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// onTenantHosts runs test against a server, and against a balancer.
func onTenantHosts(t *testing.T, test func(t *testing.T, h tenantHost)) {
	t.Run("server", func(t *testing.T) {
		dir := t.TempDir()
		tenantTokens(t, dir)
		p := start(t, nil, nil, "server", "--listen", "127.0.0.1:0", "--data", dir)
		test(t, tenantHost{p.waitFor(`listening on (\S+)`), dir, p})
	})
	t.Run("balancer", func(t *testing.T) {
		dir, serverDir := t.TempDir(), t.TempDir()
		tenantTokens(t, dir)
		p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
		url := p.waitFor(`balancer listening on (\S+)`)
		server := start(t, nil, nil, "server", "--balancer", url, "--token", joinSecret, "--data", serverDir)
		server.waitFor("joined")
		test(t, tenantHost{url, dir, server})
	})
}

// An asking is one request of somebody who may not have what he asks for.
type asking struct {
	method, path  string
	id, lease, ns string // headers; empty: not sent
	body          string
}

// ask sends it with a token; more headers replace the usual ones.
func (h tenantHost) ask(t *testing.T, secret string, a asking, more ...string) rawAnswer {
	t.Helper()
	head := []string{"Host: " + strings.TrimPrefix(h.url, "http://"), "Connection: close", "Whiskaway-Version: " + wire.Version}
	for _, header := range [][2]string{{"Authorization", secret}, {"Whiskaway-Function", a.id}, {"Whiskaway-Lease", a.lease}, {"Whiskaway-Namespace", a.ns}} {
		name, value := header[0], header[1]
		if value == "" {
			continue
		}
		if name == "Authorization" {
			value = "Bearer " + value
		}
		head = append(head, name+": "+value)
	}
	c := badCase{line: a.method + " " + a.path, head: more, body: a.body}
	return exchange(t, h.url, c.bytes(head), false)
}

// sameAnswer checks that an asker cannot tell a from b. What he himself has said may
// be in the answers: it is replaced before.
func sameAnswer(t *testing.T, what string, a, b rawAnswer, said map[string]string) {
	t.Helper()
	for from, to := range said {
		a.body, b.body = strings.ReplaceAll(a.body, from, to), strings.ReplaceAll(b.body, from, to)
	}
	if a.status != b.status || a.body != b.body || headerText(a.header) != headerText(b.header) {
		t.Errorf("%s: he can tell %d %q %s\nfrom %d %q %s", what, a.status, a.body, headerText(a.header), b.status, b.body, headerText(b.header))
	}
}

// headerText is all of a header but what differs from one answer to the next.
func headerText(h http.Header) string {
	h = h.Clone()
	h.Del("Date")
	h.Del("Content-Length")
	var b strings.Builder
	h.Write(&b)
	return b.String()
}
