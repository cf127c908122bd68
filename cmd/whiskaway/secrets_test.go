package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSecretsAreFound(t *testing.T) {
	dir := t.TempDir()
	one, many := filepath.Join(dir, "one"), filepath.Join(dir, "many")
	for path, text := range map[string]string{one: "first-token~pin\n", many: "# a comment\ngpu.example.com second-token\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("WHISKAWAY_TOKEN_FILE", one)
	t.Setenv("WHISKAWAY_TOKENS_FILE", many)
	s := findSecrets("third-token")
	if want := []string{"third-token", "first-token", "second-token"}; !slices.Equal(s.texts, want) {
		t.Errorf("texts %q, not %q", s.texts, want)
	}
	if want := []string{one, many}; !slices.Equal(s.paths, want) {
		t.Errorf("paths %q, not %q", s.paths, want)
	}
	for text, want := range map[string]bool{"a first-token": true, "first": false, "": false} {
		if s.in(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	if short := findSecrets("abc"); short.in("xabcx") || !short.in("abc") {
		t.Error("a short token is to be found as a whole only")
	}
}
