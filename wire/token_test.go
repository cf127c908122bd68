package wire

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

var testPrint = strings.Repeat("A", 43)

func TestParseToken(t *testing.T) {
	for text, want := range map[string]Token{
		"abc":                        {Secret: "abc"},
		" abc\n":                     {Secret: "abc"},
		"abc~" + testPrint:           {Secret: "abc", Fingerprint: testPrint},
		"a~b~" + testPrint:           {Secret: "a~b", Fingerprint: testPrint},
		"":                           {},
		"~" + testPrint:              {},
		"abc~":                       {},
		"abc~" + testPrint[1:]:       {},
		"abc~" + testPrint[1:] + "B": {}, // bits beyond the 256th
		"a c":                        {},
		"a\x00c":                     {},
		"aüc":                        {},
	} {
		got, err := ParseToken(text)
		if got != want || (err == nil) != (want.Secret != "") {
			t.Errorf("%q: %q %q, %v", text, got.Secret, got.Fingerprint, err)
		}
	}
	secret := NewSecret(RoleJoin)
	token := Token{Secret: secret, Fingerprint: testPrint}
	if got, err := ParseToken(token.Text()); got != token || err != nil || !strings.HasPrefix(secret, "wa_join_") {
		t.Errorf("%q: %v", token.Text(), err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", token, token, token, token); strings.Contains(text, secret) {
		t.Errorf("a printed token tells the secret: %s", text)
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("abc~" + testPrint)
	f.Add("a~b")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		if again, err := ParseToken(token.Text()); err != nil || again != token {
			// "a~FP" without a fingerprint of its own cannot come out of ParseToken.
			t.Errorf("%q does not survive: %v", text, err)
		}
	})
}

func TestTokensOfABalancer(t *testing.T) {
	dir := t.TempDir()
	tokens, err := OpenTokens(dir, testPrint)
	if err != nil {
		t.Fatal(err)
	}
	written := map[Role]Token{}
	for _, role := range []Role{RoleJoin, RoleClient, RoleAdmin} {
		token, err := tokens.Token(role)
		if err != nil || token.Fingerprint != testPrint {
			t.Fatalf("%s: %v", role, err)
		}
		written[role] = token
		mustHaveMode(t, tokens.Path(role), 0o600)
		if hashes, _ := os.ReadFile(filepath.Join(dir, "tokens.json")); strings.Contains(string(hashes), token.Secret) {
			t.Errorf("tokens.json holds the secret of %s", role)
		}
	}
	mustHaveMode(t, filepath.Join(dir, "tokens"), 0o700)
	mustHaveMode(t, filepath.Join(dir, "tokens.json"), 0o600)
	os.Remove(tokens.Path(RoleJoin)) // moved away by its user
	tokens, err = OpenTokens(dir, testPrint)
	if err != nil {
		t.Fatal(err)
	}
	for role, token := range written {
		if p, err := tokens.Authorize(token.Secret); err != nil || p.Role != role {
			t.Errorf("%s: %+v, %v", role, p, err)
		}
		if _, err := tokens.Authorize(token.Text()); function.CodeOf(err) != function.CodeUnauthorized {
			t.Errorf("%s with its fingerprint: %v", role, err)
		}
	}
	for _, secret := range []string{"", "x"} {
		if _, err := tokens.Authorize(secret); function.CodeOf(err) != function.CodeUnauthorized {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestTokensThatWereAltered(t *testing.T) {
	dir := t.TempDir()
	tokens, err := OpenTokens(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	client, _ := tokens.Token(RoleClient)
	if _, err := OpenTokens(dir, testPrint); err != nil {
		t.Fatal(err)
	}
	if token, _ := tokens.Token(RoleClient); token != (Token{client.Secret, testPrint}) {
		t.Error("the new fingerprint was not written, or the secret changed")
	}
	os.WriteFile(tokens.Path(RoleClient), []byte("mine\n"), 0o600)
	if _, err := OpenTokens(dir, testPrint); err == nil || !strings.Contains(err.Error(), "is not the one") {
		t.Errorf("another token in a file: %v", err)
	}
	os.Remove(filepath.Join(dir, "tokens.json"))
	tokens, err = OpenTokens(dir, testPrint)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := tokens.Authorize("mine"); err != nil || p.Role != RoleClient {
		t.Errorf("the token of the file was not taken over: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "tokens.json"), []byte("{"), 0o600)
	if _, err := OpenTokens(dir, testPrint); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged tokens.json: %v", err)
	}
}

func mustHaveMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != want {
		t.Errorf("%s: %v, %v", path, info, err)
	}
}

func TestStaticToken(t *testing.T) {
	auth := Static(Token{Secret: "s"})
	if p, err := auth.Authorize("s"); err != nil || p.Role != RoleAdmin || p.Namespace != "" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, wrong := range []string{"", "S", "ss"} {
		if _, err := auth.Authorize(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
	if _, err := Static(Token{}).Authorize(""); err == nil {
		t.Error("an empty token was taken")
	}
}

func TestTokensFile(t *testing.T) {
	tokens, err := ParseTokensFile(strings.NewReader("# mine\n\n gpu.example.com a\ngpu.example.com:8443\tb\nOther:443 c\n[::1]:80 d\n[::2] e\n"))
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"https://gpu.example.com": "a", "https://GPU.example.com:1": "a", "https://gpu.example.com:8443/x": "b",
		"https://other": "c", "https://other:444": "", "http://[::1]": "d", "https://[::2]:5": "e", "https://example.com": "", "x": "",
	} {
		if got, ok := tokens.For(url); got.Secret != want || ok != (want != "") {
			t.Errorf("%s: %q", url, got.Secret)
		}
	}
	for text, words := range map[string]string{
		"a b c": "line 1", "a\n": "line 1", "#\nhttps://x secret": "line 2", "a s1\nA s2": "twice", "a s~x": "fingerprint",
	} {
		if _, err := ParseTokensFile(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
