package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// serveTokens serves a host with tokens of its own. The testBalancer gets what joins.
func serveTokens(t *testing.T, b *testBalancer) (*Tokens, string) {
	t.Helper()
	tokens, err := OpenTokens(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return tokens, serve(t, NewHandler(HandlerConfig{Host: &fakeHost{code: map[string]string{}}, Auth: tokens, Tokens: tokens, Join: b.join}), Server{})
}

func secretFor(t *testing.T, tokens *Tokens, spec TokenSpec) (id, secret string) {
	t.Helper()
	created, err := tokens.CreateToken(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return created.ID, created.Text
}

func TestAlwaysTrue9OnlyAnAdminManagesTokens(t *testing.T) {
	noLeaks(t)
	tokens, addr := serveTokens(t, newTestBalancer())
	admin, err := tokens.Token(RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	_, client := secretFor(t, tokens, TokenSpec{Role: RoleClient})
	_, join := secretFor(t, tokens, TokenSpec{Role: RoleJoin})
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/tokens", ""}, {"POST", "/tokens", `{"role":"admin"}`}, {"DELETE", "/tokens/client", ""}, {"DELETE", "/tokens/admin?force=1", ""},
	} {
		for token, want := range map[string]int{"": 401, "wrong": 401, client: 403, join: 403} {
			if resp, text := send(t, addr, token, call.method, call.path, call.body); resp.StatusCode != want || strings.Contains(text, admin.Secret) {
				t.Errorf("%s %s: %d, want %d: %s", call.method, call.path, resp.StatusCode, want, text)
			}
		}
	}
	if list, _ := tokens.ListTokens(t.Context()); len(list) != 5 {
		t.Errorf("there are %d tokens", len(list))
	}
	for _, bad := range []struct {
		method, path, body string
		status             int
		words              string
	}{
		{"POST", "/tokens", "{", 400, "as JSON"}, {"POST", "/tokens", `{"role":"join","ttl_ms":-1}`, 400, "ttl_ms"},
		{"POST", "/tokens", `{"role":"root"}`, 400, "not known"}, {"POST", "/tokens", strings.Repeat(" ", maxTokenRequest+1), 413, "more than"},
		{"DELETE", "/tokens/nobody", "", 400, "no token with the id"}, {"DELETE", "/tokens/", "", 400, "no token"},
		{"DELETE", "/tokens/admin", "", 400, "last admin"}, {"DELETE", "/tokens", "", 405, "wants GET"}, {"PUT", "/tokens/x", "", 405, "wants DELETE"},
	} {
		resp, text := send(t, addr, admin.Secret, bad.method, bad.path, bad.body)
		if resp.StatusCode != bad.status || !strings.Contains(text, bad.words) || resp.Header.Get(headerStarted) != "no" {
			t.Errorf("%s %s: %d %s", bad.method, bad.path, resp.StatusCode, text)
		}
	}
	static := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: Static(Token{Secret: testSecret})}), Server{})
	if resp, text := send(t, static, testSecret, "GET", "/tokens", ""); resp.StatusCode != 400 || !strings.Contains(text, "keeps no tokens") {
		t.Errorf("a host with one token: %d %s", resp.StatusCode, text)
	}
}

// No such token is made, but somebody may write one into tokens.json.
func TestAlwaysTrue9AnAdminOfOneNamespaceManagesNoTokens(t *testing.T) {
	noLeaks(t)
	tokens, err := OpenTokens(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: roleTokens{}, Tokens: tokens}), Server{})
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/tokens", ""}, {"POST", "/tokens", `{"role":"client"}`}, {"DELETE", "/tokens/client", ""},
	} {
		if resp, text := send(t, addr, "admin/guest", call.method, call.path, call.body); resp.StatusCode != 403 || !strings.Contains(text, `"guest`) {
			t.Errorf("%s %s: %d %s", call.method, call.path, resp.StatusCode, text)
		}
	}
	if list, _ := tokens.ListTokens(t.Context()); len(list) != 3 {
		t.Errorf("there are %d tokens", len(list))
	}
}

func TestTokensAreManagedFromAfar(t *testing.T) {
	noLeaks(t)
	tokens, addr := serveTokens(t, newTestBalancer())
	admin, err := tokens.Token(RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	c := dialTo(t, addr, admin.Secret)
	created, err := c.CreateToken(t.Context(), TokenSpec{Role: RoleClient, Namespace: "alice", Labels: []string{"gpu"}, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := tokens.Authorize(created.Text); err != nil || p.Namespace != "alice" {
		t.Errorf("it is good for %+v, %v", p, err)
	}
	list, err := c.ListTokens(t.Context())
	if err != nil || len(list) != 4 || list[2].Used.IsZero() || list[3].ID != created.ID || !slices.Equal(list[3].Labels, []string{"gpu"}) {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if text, _ := json.Marshal(list); strings.Contains(string(text), created.Text) || strings.Contains(string(text), "sha256") {
		t.Errorf("the list tells a secret: %s", text)
	}
	if err := c.RevokeToken(t.Context(), created.ID, false); err != nil {
		t.Error(err)
	}
	if err := c.RevokeToken(t.Context(), created.ID, false); function.CodeOf(err) != function.CodeBadRequest {
		t.Errorf("revoked twice: %v", err)
	}
	if err := c.RevokeToken(t.Context(), "a/../b", false); function.CodeOf(err) != function.CodeBadRequest {
		t.Errorf("an id that is none: %v", err)
	}
	if err := c.RevokeToken(t.Context(), "admin", true); err != nil {
		t.Error(err)
	}
	if _, err := c.ListTokens(t.Context()); function.CodeOf(err) != function.CodeUnauthorized {
		t.Errorf("with a token that is gone: %v", err)
	}
}

// As many tokens as there can be, each as long as it can be, are listed from afar.
func TestTheLongestListOfTokensIsReadFromAfar(t *testing.T) {
	noLeaks(t)
	tokens, addr := serveTokens(t, newTestBalancer())
	admin, err := tokens.Token(RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	var labels []string
	for i := range maxTokenLabels {
		labels = append(labels, fmt.Sprintf("%0128d", i))
	}
	known, err := tokens.dir.read()
	for i := len(known); i < maxTokens; i++ {
		k := newEntry(TokenSpec{Role: RoleClient, Namespace: strings.Repeat("n", maxTokenNamespace), Labels: labels, TTL: maxTokenTTL}, Token{Secret: fmt.Sprint(i)}, time.Now())
		k.ID = fmt.Sprintf("client-%057d", i)
		known = append(known, k)
	}
	if err = errors.Join(err, tokens.dir.write(known), tokens.reload()); err != nil {
		t.Fatal(err)
	}
	list, err := dialTo(t, addr, admin.Secret).ListTokens(t.Context())
	if err != nil || len(list) != maxTokens || len(list[maxTokens-1].Labels) != maxTokenLabels {
		t.Errorf("%d tokens are listed, %v", len(list), err)
	}
}

// A server whose join token is revoked, or expires, is a member no longer, and comes back only with another.
func TestAlwaysTrue9AMembershipEndsWithItsToken(t *testing.T) {
	noLeaks(t)
	b := newTestBalancer()
	tokens, addr := serveTokens(t, b)
	id, secret := secretFor(t, tokens, TokenSpec{Role: RoleJoin, Labels: []string{"pool=eu", "a100"}})
	blocked := make(chan struct{})
	host := &fakeHost{run: func(ctx context.Context, _ function.ID, _ function.Claim, _ *function.Activation, _ function.Output) (function.Summary, error) {
		close(blocked)
		<-ctx.Done()
		return function.Summary{Outcome: function.OutcomeCancelled}, nil
	}}
	goHome(t, HomeConfig{URL: "http://" + addr, Token: secret, Host: host})
	j := within(t, b.joined, "the server")
	if !slices.Equal(j.Labels, []string{"a100", "pool=eu"}) {
		t.Errorf("it joined with the labels %v", j.Labels)
	}
	ran := make(chan function.Outcome, 1)
	go func() {
		sum, err := j.Host.Run(t.Context(), function.ID{}, testClaim, activation("{}"), &recorder{})
		if err != nil {
			sum.Outcome = function.Outcome(err.Error())
		}
		ran <- sum.Outcome
	}()
	within(t, blocked, "the run")
	if err := tokens.RevokeToken(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	within(t, b.left, "the member to be dropped")
	if got := within(t, ran, "the run's end"); got != function.OutcomeLost {
		t.Errorf("the run under way ended as %q", got)
	}
	if resp, _ := send(t, addr, secret, "POST", "/join", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("joining again: %d", resp.StatusCode)
	}
	select {
	case <-b.joined:
		t.Error("it has joined again")
	default:
	}
}

// All connections of a server's process come by one token: its labels are that one's.
func TestAServersConnectionsComeByOneToken(t *testing.T) {
	noLeaks(t)
	m := newMembers(newTestBalancer().join, orDiscard(nil))
	defer m.close()
	req := joinRequest{serverID: "1", name: "n", session: "s", by: Principal{ID: "one"}}
	first, err := m.admit(req)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := m.admit(req); again != first || err != nil {
		t.Errorf("its second connection: %v", err)
	}
	req.by.ID = "two"
	if _, err := m.admit(req); function.CodeOf(err) != function.CodeForbidden {
		t.Errorf("one by another token: %v", err)
	}
}

func TestAStatusStreamEndsWithItsToken(t *testing.T) {
	noLeaks(t)
	tokens, addr := serveTokens(t, newTestBalancer())
	id, secret := secretFor(t, tokens, TokenSpec{Role: RoleAdmin})
	c := dialTo(t, addr, secret)
	seen, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() {
		ended <- c.Watch(t.Context(), func(function.Status) error {
			seen <- struct{}{}
			return nil
		})
	}()
	within(t, seen, "the status")
	if err := tokens.RevokeToken(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if err := within(t, ended, "its end"); function.CodeOf(err) != function.CodeUnreachable {
		t.Errorf("it ended with %v", err)
	}
}

// What a client's token demands of servers is a part of what the function is.
func TestAClientTokensLabelsAreNeededByItsFunctions(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{}
	tokens, err := OpenTokens(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, NewHandler(HandlerConfig{Host: host, Auth: tokens}), Server{})
	_, secret := secretFor(t, tokens, TokenSpec{Role: RoleClient, Namespace: "guest", Labels: []string{"pool=eu", "gpu"}})
	spec := testSpec("x") // needs gpu
	host.code = map[string]string{"guest " + spec.Code.String(): "x"}
	id, err := dialTo(t, addr, secret).Init(t.Context(), spec, function.Lease{ID: "l"})
	if err != nil {
		t.Fatal(err)
	}
	want := spec
	want.Require.Labels = []string{"gpu", "pool=eu"}
	if id != want.ID() || !slices.Equal(host.inits[0].Require.Labels, want.Require.Labels) {
		t.Errorf("the host was asked for %v", host.inits[0].Require.Labels)
	}
}

func TestANamespacesAdminSeesItsFunctionsOnly(t *testing.T) {
	s := function.Status{Functions: []function.FunctionStatus{{Namespace: "alice"}, {Namespace: "bob"}, {Namespace: "alice"}}}
	if got := seenBy(Principal{Namespace: "alice"}, s).Functions; len(got) != 2 || got[0].Namespace != "alice" || got[1].Namespace != "alice" {
		t.Errorf("she sees %+v", got)
	}
	if got := seenBy(Principal{}, s).Functions; len(got) != 3 {
		t.Errorf("who is limited to nothing sees %+v", got)
	}
}
