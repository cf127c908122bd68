package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tokenVariable holds a token. Its value is for us alone.
const tokenVariable = "WHISKAWAY_TOKEN"

// takeToken returns the token of the environment, and takes it out of there: nothing that we
// start inherits it, and whoever may read our environment in /proc does not find it.
func takeToken() string {
	token := os.Getenv(tokenVariable)
	if token == "" {
		return ""
	}
	token = strings.TrimSpace(token)
	hideEnvironment(tokenVariable, secretPart(token))
	os.Unsetenv(tokenVariable)
	return token
}

// secrets are what no function may see of a runtime or a server.
type secrets struct {
	texts []string // the tokens
	paths []string // where they are kept
}

// findSecrets finds what the tokens and the two files' variables name. A file that cannot be read holds
// nothing for a function either.
func findSecrets(tokens ...string) secrets {
	var s secrets
	for _, token := range tokens {
		s.add(token)
	}
	for line := range strings.Lines(s.read("WHISKAWAY_TOKEN_FILE")) {
		s.add(line)
	}
	for line := range strings.Lines(s.read("WHISKAWAY_TOKENS_FILE")) {
		if fields := strings.Fields(line); len(fields) > 1 && !strings.HasPrefix(fields[0], "#") {
			s.add(fields[1])
		}
	}
	return s
}

func (s *secrets) add(token string) {
	if text := secretPart(strings.TrimSpace(token)); text != "" {
		s.texts = append(s.texts, text)
	}
}

// secretPart is a token without the fingerprint that may follow it.
func secretPart(token string) string {
	text, _, _ := strings.Cut(token, "~")
	return text
}

// findable is the length in bytes from which on a secret is looked for within other texts.
const findable = 8

// in reports whether a text holds a secret.
func (s secrets) in(text string) bool {
	return slices.ContainsFunc(s.texts, func(secret string) bool {
		return text == secret || len(secret) >= findable && strings.Contains(text, secret)
	})
}

// read returns what is in the file that a variable names, and takes note of the file.
func (s *secrets) read(variable string) string {
	path := os.Getenv(variable)
	if path == "" {
		return ""
	}
	// In a volume of Kubernetes the name is a link, which leads to another file when the secret is renewed.
	if dir := filepath.Dir(path); isVolume(dir) {
		s.paths = append(s.paths, dir)
	} else {
		s.paths = append(s.paths, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// isVolume reports whether Kubernetes has filled the directory from a secret.
func isVolume(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "..data"))
	return err == nil
}
