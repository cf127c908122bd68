package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestTokensAreMadeListedAndRevoked(t *testing.T) {
	dir := t.TempDir()
	host, err := OpenTokens(dir, testPrint)
	if err != nil {
		t.Fatal(err)
	}
	for name, keeper := range map[string]TokenKeeper{"beside it": TokenDir(dir), "the host itself": host} {
		created, err := keeper.CreateToken(t.Context(), TokenSpec{Role: RoleClient, Namespace: "alice", Labels: []string{"b", "a", "b"}, TTL: time.Hour})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		token, err := ParseToken(created.Text)
		if err != nil || token.Fingerprint != testPrint || !strings.HasPrefix(created.ID, "client-") {
			t.Errorf("%s: %q with the fingerprint %q, %v", name, created.ID, token.Fingerprint, err)
		}
		if err := host.reload(); err != nil {
			t.Fatal(err)
		}
		p, err := host.Authorize(token.Secret)
		if err != nil || p.Role != RoleClient || p.Namespace != "alice" || !slices.Equal(p.Labels, []string{"a", "b"}) || p.ID != created.ID {
			t.Errorf("%s: it stands for %+v, %v", name, p, err)
		}
		list, err := keeper.ListTokens(t.Context())
		if err != nil || len(list) != 4 || list[3].ID != created.ID || !list[3].Expires.Equal(created.Expires) || time.Until(created.Expires) > time.Hour {
			t.Errorf("%s: the list is %+v, %v", name, list, err)
		}
		mustNotHold(t, dir, token.Secret)
		if err := keeper.RevokeToken(t.Context(), created.ID, false); err != nil {
			t.Fatal(err)
		}
		if err := host.reload(); err != nil {
			t.Fatal(err)
		}
		if _, err := host.Authorize(token.Secret); function.CodeOf(err) != function.CodeUnauthorized || p.valid.Err() == nil {
			t.Errorf("%s: a revoked token is good: %v", name, err)
		}
	}
}

// mustNotHold looks for a secret in all files of a directory.
func mustNotHold(t *testing.T, dir, secret string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if text, _ := os.ReadFile(path); strings.Contains(string(text), secret) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
}

func TestWhatCanBeNoTokenIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenTokens(dir, ""); err != nil {
		t.Fatal(err)
	}
	many := make([]string, maxTokenLabels+1)
	for i := range many {
		many[i] = fmt.Sprint("l", i)
	}
	for words, spec := range map[string]TokenSpec{
		"join, client and admin":  {Role: "root"},
		"limited to a namespace":  {Role: RoleJoin, Namespace: "alice"},
		"role admin is for":       {Role: RoleAdmin, Namespace: "alice"},
		"labels are for join":     {Role: RoleAdmin, Labels: []string{"a"}},
		"cannot be a namespace":   {Role: RoleClient, Namespace: "a b"},
		`"a/b" cannot be`:         {Role: RoleClient, Namespace: "a/b"},
		`"two words"`:             {Role: RoleJoin, Labels: []string{"two words"}},
		"at most 32 labels":       {Role: RoleJoin, Labels: many},
		"-1s is neither":          {Role: RoleJoin, TTL: -time.Second},
		"1752000h0m0s is neither": {Role: RoleJoin, TTL: 200 * 365 * 24 * time.Hour},
	} {
		_, err := TokenDir(dir).CreateToken(t.Context(), spec)
		if function.CodeOf(err) != function.CodeBadRequest || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	for _, id := range []string{"", "nobody", "../tokens.json", "client/../admin"} {
		if err := TokenDir(dir).RevokeToken(t.Context(), id, true); function.CodeOf(err) != function.CodeBadRequest {
			t.Errorf("revoking %q: %v", id, err)
		}
	}
	if _, err := TokenDir(t.TempDir()).CreateToken(t.Context(), TokenSpec{Role: RoleJoin}); err == nil || !strings.Contains(err.Error(), "start it once") {
		t.Errorf("a directory of nobody: %v", err)
	}
	if _, err := TokenDir(t.TempDir()).ListTokens(t.Context()); err == nil || !strings.Contains(err.Error(), "there are no tokens") {
		t.Errorf("a directory of nobody: %v", err)
	}
}

func TestTheLastAdminStaysUnlessForced(t *testing.T) {
	dir := TokenDir(t.TempDir())
	if _, err := OpenTokens(string(dir), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.CreateToken(t.Context(), TokenSpec{Role: RoleAdmin, TTL: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond) // until it has expired: then it is no admin
	if err := dir.RevokeToken(t.Context(), "admin", false); err == nil || !strings.Contains(err.Error(), "last admin") {
		t.Errorf("the last one: %v", err)
	}
	other, err := dir.CreateToken(t.Context(), TokenSpec{Role: RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.RevokeToken(t.Context(), "admin", false); err != nil {
		t.Errorf("one of two: %v", err)
	}
	if _, err := os.Stat(dir.path("admin")); !os.IsNotExist(err) {
		t.Errorf("the file of a revoked token: %v", err)
	}
	if err := dir.RevokeToken(t.Context(), other.ID, true); err != nil {
		t.Errorf("forced: %v", err)
	}
}

func TestManyMayChangeTheTokensAtATime(t *testing.T) {
	dir := TokenDir(t.TempDir())
	if _, err := OpenTokens(string(dir), ""); err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 4
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				kept, err := dir.CreateToken(t.Context(), TokenSpec{Role: RoleJoin})
				gone, err2 := dir.CreateToken(t.Context(), TokenSpec{Role: RoleClient})
				err3 := dir.RevokeToken(t.Context(), gone.ID, false)
				if err != nil || err2 != nil || err3 != nil || kept.ID == gone.ID {
					t.Errorf("%v, %v, %v", err, err2, err3)
				}
			}
		})
	}
	all.Wait()
	if list, err := dir.ListTokens(t.Context()); err != nil || len(list) != 3+writers*each {
		t.Errorf("%d tokens are left, %v", len(list), err)
	}
}

func TestALockedDirectoryIsExplained(t *testing.T) {
	dir := TokenDir(t.TempDir())
	if _, err := OpenTokens(string(dir), ""); err != nil {
		t.Fatal(err)
	}
	unlock, err := dir.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := dir.CreateToken(ctx, TokenSpec{Role: RoleJoin}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process has locked the tokens") {
		t.Errorf("while it is locked: %v", err)
	}
	unlock()
	if _, err := dir.CreateToken(t.Context(), TokenSpec{Role: RoleJoin}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := lockFailed("x", awaitLock(t.Context(), closed)); !strings.Contains(err.Error(), "local disk") {
		t.Errorf("what cannot be locked: %v", err)
	}
}

func TestTheNumberOfTokensIsLimited(t *testing.T) {
	dir := TokenDir(t.TempDir())
	if _, err := OpenTokens(string(dir), ""); err != nil {
		t.Fatal(err)
	}
	var known []knownToken
	for i := range maxTokens {
		k := newEntry(TokenSpec{Role: RoleJoin}, Token{Secret: fmt.Sprint(i)}, time.Now())
		k.ID = fmt.Sprint("join-", i)
		known = append(known, k)
	}
	if err := dir.write(known); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.CreateToken(t.Context(), TokenSpec{Role: RoleJoin}); err == nil || !strings.Contains(err.Error(), "the limit") {
		t.Errorf("one too many: %v", err)
	}
}

func FuzzParseTokens(f *testing.F) {
	hash := strings.Repeat("ab", 32)
	f.Add([]byte(`[{"id":"join","role":"join","sha256":"` + hash + `"}]`))
	f.Add([]byte(`[{"id":"c","role":"client","namespace":"alice","labels":["b","a"],"created":"2026-01-02T03:04:05Z","expires":"2027-01-02T03:04:05Z","sha256":"` + hash + `"}]`))
	f.Add([]byte(`[{"id":"../x","role":"admin","sha256":"` + hash + `"}]`))
	f.Add([]byte(`[{"id":"a","role":"join","sha256":"` + hash + `"},{"id":"a","role":"admin","sha256":"` + hash + `"}]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		known, err := parseTokens(text)
		if err != nil {
			return
		}
		dir := TokenDir(t.TempDir())
		if err := dir.write(known); err != nil {
			t.Fatal(err)
		}
		again, err := dir.read()
		if err != nil || !slices.EqualFunc(known, again, func(a, b knownToken) bool { return a.same(&b) }) {
			t.Errorf("%q does not survive: %v", text, err)
		}
		for _, k := range known {
			if filepath.Dir(dir.path(k.ID)) != filepath.Join(string(dir), "tokens") || k.SHA256 == (hexBytes{}) || !slices.IsSorted(k.Labels) {
				t.Errorf("%+v was taken", k.TokenInfo)
			}
		}
	})
}

func FuzzParseTokenRequest(f *testing.F) {
	f.Add([]byte(`{"role":"client","namespace":"alice","labels":["gpu"],"ttl_ms":5}`))
	f.Add([]byte(`{"role":"join","ttl_ms":-1}`))
	f.Add([]byte(`{"role":"join","ttl_ms":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := parseTokenRequest(text)
		if err != nil {
			if function.CodeOf(err) != function.CodeBadRequest {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		entry := newEntry(spec, Token{Secret: "x"}, time.Now())
		if err := entry.check(); err != nil || spec.TTL < 0 || entry.Expired(time.Now().Add(-time.Minute)) {
			t.Errorf("%q became %+v: %v", text, entry.TokenInfo, err)
		}
	})
}
