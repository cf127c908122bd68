package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSecretsAreOverwrittenInAnEnvironment(t *testing.T) {
	for _, c := range []struct{ block, secret, want string }{
		{"A=1\x00WHISKAWAY_TOKEN=tok~en\x00B=\x00", "tok", "A=1\x00WHISKAWAY_TOKEN=xxxxxx\x00B=\x00"},
		{"COPY=_0123456789_\x00WHISKAWAY_TOKEN=0123456789", "0123456789", "COPY=_xxxxxxxxxx_\x00WHISKAWAY_TOKEN=xxxxxxxxxx"},
		{"", "0123456789", ""},
	} {
		if got := string(withoutSecret([]byte(c.block), "WHISKAWAY_TOKEN", c.secret)); got != c.want {
			t.Errorf("%q becomes %q, not %q", c.block, got, c.want)
		}
	}
}

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

func TestALocalFunctionsEnvironment(t *testing.T) {
	for name, value := range map[string]string{"CUSTOM": "1", "LD_LIBRARY_PATH": "/x", "OW_COMPILER": "/c", "WHISKAWAY_BALANCER": "b", "__OW_API_HOST": "h", "COPY": "it is first-token"} {
		t.Setenv(name, value)
	}
	s := settings{executionEnv: "image:1"}
	got := s.localEnv(map[string]string{"__OW_API_KEY": "k", "__OW_API_HOST": "newer"}, secrets{texts: []string{"first-token"}})
	for _, want := range []string{"CUSTOM=1", "LD_LIBRARY_PATH=/x", "__OW_API_KEY=k", "__OW_EXECUTION_ENV=image:1"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if slices.Index(got, "__OW_API_HOST=newer") < slices.Index(got, "__OW_API_HOST=h") {
		t.Error("the init environment does not win")
	}
	for _, name := range []string{"OW_COMPILER", "WHISKAWAY_BALANCER", "COPY", "PATH", "HOME"} {
		if slices.ContainsFunc(got, func(s string) bool { return len(s) > len(name) && s[:len(name)+1] == name+"=" }) {
			t.Errorf("%s is there", name)
		}
	}
}
