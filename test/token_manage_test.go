package test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// makeToken makes a token as an operator does, and returns its text and its id. where says which host's.
func makeToken(t *testing.T, where []string, args ...string) (text, id string) {
	t.Helper()
	before := map[string]bool{}
	for _, k := range listTokens(t, where) {
		before[k.ID] = true
	}
	out := run(t, append(append([]string{"token", "create"}, where...), args...)...)
	if text = strings.TrimSpace(out); out != text+"\n" || strings.ContainsAny(text, " \n") {
		t.Errorf("not the token alone is on stdout, but %d lines", strings.Count(out, "\n"))
	}
	for _, k := range listTokens(t, where) {
		if !before[k.ID] {
			id = k.ID
		}
	}
	return text, id
}

func listTokens(t *testing.T, where []string) []wire.TokenInfo {
	t.Helper()
	var list []wire.TokenInfo
	out := run(t, append([]string{"token", "list", "--json"}, where...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return list
}

// Tokens are managed in the data directory, with the host running or not, and from afar.
func TestTokensAreManagedByCommand(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := p.waitFor(`balancer listening on (\S+)`)
	here, afar := []string{"--data", dir}, []string{"--balancer", url, "--token", readToken(t, dir, "admin")}
	var made []string
	for name, where := range map[string][]string{"here": here, "from afar": afar} {
		text, id := makeToken(t, where, "--role", "client", "--namespace", "alice", "--label", "pool=eu", "--ttl", "1h")
		made = append(made, text)
		_, fingerprint, _ := strings.Cut(text, "~")
		if _, want, _ := strings.Cut(readToken(t, dir, "client"), "~"); fingerprint != want || want == "" {
			t.Errorf("%s: the fingerprint is %q, want %q", name, fingerprint, want)
		}
		refused(t, url, secretOf(text), false)
		err := wireClient(t, url, text).PutCode(t.Context(), "bob", function.DigestOf([]byte(countPy)), strings.NewReader(countPy))
		if function.CodeOf(err) != function.CodeForbidden {
			t.Errorf("%s: another namespace's code: %v", name, err)
		}
		table := run(t, append([]string{"token", "list"}, where...)...)
		for _, word := range []string{"ID", "LAST USED", id, "alice", "pool=eu", "never"} {
			if !strings.Contains(table, word) {
				t.Errorf("%s: the list lacks %q:\n%s", name, word, table)
			}
		}
		if strings.Contains(table, secretOf(text)) {
			t.Errorf("%s: the list tells a secret", name)
		}
		run(t, append([]string{"token", "revoke", id}, where...)...)
		refused(t, url, secretOf(text), true)
	}
	p.stop()
	kept, id := makeToken(t, here, "--role", "client")
	gone, goneID := makeToken(t, here, "--role", "client")
	run(t, "token", "revoke", goneID, "--data", dir)
	for _, k := range listTokens(t, here) {
		if k.ID == "admin" && k.Used.IsZero() {
			t.Error("it is not known that the admin's token was used")
		}
	}
	p = start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url = p.waitFor(`balancer listening on (\S+)`)
	refused(t, url, secretOf(kept), false)
	refused(t, url, secretOf(gone), true)
	if !strings.HasPrefix(id, "client-") {
		t.Errorf("its id is %q", id)
	}
	for _, secret := range append(made, kept, gone, readToken(t, dir, "admin")) {
		if strings.Contains(p.log(), secretOf(secret)) {
			t.Error("the log tells a token")
		}
	}
}

// refused waits until a client's token is refused, or until it is good. It may be neither for a moment: the host looks at
// its tokens a few times a second.
func refused(t *testing.T, url, secret string, want bool) {
	t.Helper()
	c := wireClient(t, url, secret)
	begin := time.Now()
	eventually(t, "the host to know of the change", func() bool {
		err := c.Stop(t.Context(), function.ID{}, function.Claim{Lease: "nobody's"})
		return (function.CodeOf(err) == function.CodeUnauthorized) == want && (want || err == nil)
	})
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the change took %v to be known, and should take less than a second", took)
	}
}

func TestTokenCommandsSayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := p.waitFor(`balancer listening on (\S+)`)
	_, static := direct(t, testToken)
	client := readToken(t, dir, "client")
	for _, c := range []struct {
		words string
		args  []string
	}{
		{"say what the token is for", []string{"create", "--data", dir}},
		{"join, client and admin", []string{"create", "--role", "root", "--data", dir}},
		{"limited to a namespace", []string{"create", "--role", "join", "--namespace", "a", "--data", dir}},
		{"is not a label", []string{"create", "--role", "join", "--label", "=", "--data", dir}},
		{"invalid argument", []string{"create", "--role", "join", "--ttl", "soon", "--data", dir}},
		{"say with --data", []string{"create", "--role", "join", "--data", t.TempDir()}},
		{"no tokens in", []string{"list", "--data", t.TempDir()}},
		{"say which token", []string{"revoke", "--data", dir}},
		{"no token with the id", []string{"revoke", "nobody", "--data", dir}},
		{"last admin", []string{"revoke", "admin", "--data", dir}},
		{"admin token is missing", []string{"list", "--balancer", url}},
		{"not good for /tokens", []string{"list", "--balancer", url, "--token", client}},
		{"not one of this host's", []string{"create", "--role", "admin", "--balancer", url, "--token", "wa_admin_wrong"}},
		{"keeps no tokens", []string{"create", "--role", "client", "--balancer", static, "--token", testToken}},
	} {
		if said := fails(t, append([]string{"token"}, c.args...)...); !strings.Contains(said, c.words) || strings.Contains(said, secretOf(client)) {
			t.Errorf("token %v: %s", c.args, said)
		}
	}
}

func TestCommandsMayMakeTokensAtATime(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := p.waitFor(`balancer listening on (\S+)`)
	made := make([]string, 8)
	var all sync.WaitGroup
	for i := range made {
		where := []string{"--data", dir}
		if i%2 > 0 {
			where = []string{"--balancer", url, "--token", readToken(t, dir, "admin")}
		}
		all.Go(func() {
			made[i] = strings.TrimSpace(run(t, append([]string{"token", "create", "--role", "client"}, where...)...))
		})
	}
	all.Wait()
	for _, text := range made {
		refused(t, url, secretOf(text), false)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".tokens*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A platform does not lose the token that its own functions need, unless it is told to.
func TestThePlatformsOwnTokenIsKept(t *testing.T) {
	dir := t.TempDir()
	startStandalone(t, dir)
	if said := fails(t, "token", "revoke", "client", "--data", dir); !strings.Contains(said, "--force") {
		t.Errorf("it said %s", said)
	}
	run(t, "token", "revoke", "client", "--force", "--data", dir)
}
