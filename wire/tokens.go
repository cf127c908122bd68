package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Tokens are a balancer's tokens. It keeps only their hashes; the tokens
// themselves lie in files for their users, who may move them away.
type Tokens struct {
	dir   string
	known []knownToken
}

// A knownToken is one entry of tokens.json.
type knownToken struct {
	ID        string   `json:"id"`
	Role      Role     `json:"role"`
	Namespace string   `json:"namespace,omitempty"`
	SHA256    hexBytes `json:"sha256"` // of the secret
}

type hexBytes [sha256.Size]byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

func (h *hexBytes) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("a SHA-256 has %d hex digits, this has %d characters", 2*len(h), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// OpenTokens reads dir/tokens.json, or makes three tokens: then
// dir/tokens/join, client and admin hold them, each with the fingerprint of the
// balancer's authority unless that is empty. When dir/tokens.json is missing but
// those files are there, their tokens are taken over.
func OpenTokens(dir, fingerprint string) (*Tokens, error) {
	t := &Tokens{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "tokens"), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for tokens: %w", err)
	}
	text, err := os.ReadFile(t.hashes())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, t.create(fingerprint)
	case err != nil:
		return nil, fmt.Errorf("reading the tokens' hashes: %w", err)
	}
	if err := json.Unmarshal(text, &t.known); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); restore it, or remove it to take the tokens from %s", t.hashes(), err, filepath.Join(dir, "tokens"))
	}
	for _, k := range t.known {
		if err := t.checkFile(k, fingerprint); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Tokens) hashes() string { return filepath.Join(t.dir, "tokens.json") }

// Path returns the file that holds the token of role.
func (t *Tokens) Path(role Role) string { return filepath.Join(t.dir, "tokens", string(role)) }

// Token reads the token of role from its file.
func (t *Tokens) Token(role Role) (Token, error) {
	text, err := os.ReadFile(t.Path(role))
	if err != nil {
		return Token{}, fmt.Errorf("reading the %s token: %w", role, err)
	}
	token, err := ParseToken(string(text))
	if err != nil {
		return Token{}, fmt.Errorf("%s: %w", t.Path(role), err)
	}
	return token, nil
}

// create makes the tokens whose files are missing, and writes all hashes last,
// so that a start that is interrupted is simply done again.
func (t *Tokens) create(fingerprint string) error {
	for _, role := range []Role{RoleJoin, RoleClient, RoleAdmin} {
		token, err := t.Token(role)
		if errors.Is(err, fs.ErrNotExist) {
			token, err = Token{Secret: NewSecret(role)}, nil
		}
		if err != nil {
			return err
		}
		token.Fingerprint = fingerprint
		if err := writeSecret(t.Path(role), []byte(token.Text()+"\n")); err != nil {
			return fmt.Errorf("writing the %s token: %w", role, err)
		}
		t.known = append(t.known, knownToken{ID: string(role), Role: role, SHA256: sha256.Sum256([]byte(token.Secret))})
	}
	text, err := json.MarshalIndent(t.known, "", "  ")
	if err == nil {
		err = writeSecret(t.hashes(), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the tokens' hashes: %w", err)
	}
	return nil
}

// checkFile compares a token's file, if it is still there, with its hash. A new
// fingerprint is written into it.
func (t *Tokens) checkFile(k knownToken, fingerprint string) error {
	switch k.Role {
	case RoleJoin, RoleClient, RoleAdmin:
	default:
		return fmt.Errorf("%s names the role %q, which is not known", t.hashes(), k.Role)
	}
	token, err := t.Token(Role(k.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if sha256.Sum256([]byte(token.Secret)) != k.SHA256 {
		return fmt.Errorf("the token in %s is not the one that %s knows; restore it, or remove %s to take the tokens from the files",
			t.Path(Role(k.ID)), t.hashes(), t.hashes())
	}
	if token.Fingerprint == fingerprint {
		return nil
	}
	token.Fingerprint = fingerprint
	return writeSecret(t.Path(Role(k.ID)), []byte(token.Text()+"\n"))
}

// Authorize compares in constant time, so that nobody can feel their way to a
// token.
func (t *Tokens) Authorize(secret string) (Principal, error) {
	sum := sha256.Sum256([]byte(secret))
	found := -1
	for i := range t.known {
		if subtle.ConstantTimeCompare(sum[:], t.known[i].SHA256[:]) == 1 {
			found = i
		}
	}
	if found < 0 || secret == "" {
		return Principal{}, wrongToken(secret)
	}
	k := t.known[found]
	return Principal{Role: k.Role, Namespace: k.Namespace, ID: k.ID}, nil
}

// writeSecret writes a file that only its owner may read, whole or not at all.
func writeSecret(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once the file has its name, as it should
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
