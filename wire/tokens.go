package wire

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Tokens are a running host's tokens. It keeps only their hashes; the first three
// themselves lie in files for their users, who may move them away.
type Tokens struct {
	dir   TokenDir
	known atomic.Pointer[[]*liveToken] // never changed, only replaced

	mu   sync.Mutex  // guards what follows, and who replaces known
	seen fs.FileInfo // of tokens.json, as it was read last; nil: it was not there
	// failed is why it could not be read then; nil: it could. It is tried again until it can: there may
	// have been no file descriptor left, and what it says may be that a token is revoked.
	failed error

	unwritten atomic.Bool // a token was used, and lastUses does not say so yet
}

var _ Authorizer = (*Tokens)(nil)
var _ TokenKeeper = (*Tokens)(nil)

// A liveToken is a token that is good until valid ends.
type liveToken struct {
	knownToken
	valid context.Context // ends when the token is revoked, or expires
	end   context.CancelFunc
	used  atomic.Int64 // Unix time in minutes; 0: never
}

func newLiveToken(k knownToken, used time.Time) *liveToken {
	live := &liveToken{knownToken: k}
	live.valid, live.end = context.WithCancel(context.Background())
	if !used.IsZero() {
		live.used.Store(used.Unix() / 60)
	}
	return live
}

// OpenTokens reads dir/tokens.json, or makes three tokens: then
// dir/tokens/join, client and admin hold them, each with the fingerprint that the
// host's certificate is pinned by unless that is empty. When dir/tokens.json is missing but
// those files are there, their tokens are taken over.
func OpenTokens(dir, fingerprint string) (*Tokens, error) {
	t := &Tokens{dir: TokenDir(dir)}
	t.known.Store(&[]*liveToken{})
	if err := os.MkdirAll(filepath.Join(dir, "tokens"), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for tokens: %w", err)
	}
	unlock, err := t.dir.lock(context.Background())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := writeSecret(t.dir.fingerprint(), []byte(fingerprint+"\n")); err != nil {
		return nil, fmt.Errorf("writing the fingerprint: %w", err)
	}
	known, err := t.dir.read()
	if errors.Is(err, fs.ErrNotExist) {
		known, err = t.create(fingerprint)
	}
	if err != nil {
		return nil, err
	}
	for _, k := range known {
		if err := t.checkFile(k, fingerprint); err != nil {
			return nil, err
		}
	}
	return t, t.reload()
}

// Path returns the file that holds the token of role.
func (t *Tokens) Path(role Role) string { return t.dir.path(string(role)) }

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
func (t *Tokens) create(fingerprint string) ([]knownToken, error) {
	var known []knownToken
	for _, role := range []Role{RoleJoin, RoleClient, RoleAdmin} {
		token, err := t.Token(role)
		if errors.Is(err, fs.ErrNotExist) {
			token, err = Token{Secret: NewSecret(role)}, nil
		}
		if err != nil {
			return nil, err
		}
		token.Fingerprint = fingerprint
		if err := writeSecret(t.Path(role), []byte(token.Text()+"\n")); err != nil {
			return nil, fmt.Errorf("writing the %s token: %w", role, err)
		}
		entry := newEntry(TokenSpec{Role: role}, token, time.Now())
		entry.ID = string(role)
		known = append(known, entry)
	}
	return known, t.dir.write(known)
}

// checkFile compares a token's file, if it is still there, with its hash. A new
// fingerprint is written into it.
func (t *Tokens) checkFile(k knownToken, fingerprint string) error {
	path := t.dir.path(k.ID)
	token, err := t.Token(Role(k.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if sha256.Sum256([]byte(token.Secret)) != k.SHA256 {
		return fmt.Errorf("the token in %s is not the one that %s knows; restore it, or remove %s to take the tokens from the files",
			path, t.dir.hashes(), t.dir.hashes())
	}
	if token.Fingerprint == fingerprint {
		return nil
	}
	token.Fingerprint = fingerprint
	return writeSecret(path, []byte(token.Text()+"\n"))
}

// Authorize compares with all tokens, in constant time, so that nobody can feel
// their way to one.
func (t *Tokens) Authorize(secret string) (Principal, error) {
	sum := sha256.Sum256([]byte(secret))
	var found *liveToken
	for _, k := range *t.known.Load() {
		if subtle.ConstantTimeCompare(sum[:], k.SHA256[:]) == 1 {
			found = k
		}
	}
	if found == nil || secret == "" {
		return Principal{}, wrongToken(secret)
	}
	now := time.Now()
	if found.Expired(now) {
		return Principal{}, function.Errorf(function.CodeUnauthorized, "the token %s has expired, at %s; ask who gave it to you for another one", found.ID, found.Expires.Format(time.RFC3339))
	}
	t.touch(found, now)
	return Principal{Role: found.Role, Namespace: found.Namespace, Labels: found.Labels, ID: found.ID, valid: found.valid}, nil
}

// touch takes note that a token is used. Minutes will do, and cost next to nothing.
func (t *Tokens) touch(k *liveToken, now time.Time) {
	if minute := now.Unix() / 60; k.used.Load() != minute {
		k.used.Store(minute)
		t.unwritten.Store(true)
	}
}

// CreateToken makes a token that is good at once.
func (t *Tokens) CreateToken(ctx context.Context, spec TokenSpec) (CreatedToken, error) {
	created, err := t.dir.CreateToken(ctx, spec)
	if err != nil {
		return CreatedToken{}, err
	}
	return created, t.reload()
}

// RevokeToken takes a token out at once.
func (t *Tokens) RevokeToken(ctx context.Context, id string, force bool) error {
	if err := t.dir.RevokeToken(ctx, id, force); err != nil {
		return err
	}
	return t.reload()
}

// ListTokens returns the tokens that are known now.
func (t *Tokens) ListTokens(context.Context) ([]TokenInfo, error) {
	known := *t.known.Load()
	list := make([]TokenInfo, len(known))
	for i, k := range known {
		list[i] = k.TokenInfo
		list[i].Labels = slices.Clone(k.Labels)
		if minute := k.used.Load(); minute > 0 {
			list[i].Used = time.Unix(60*minute, 0).UTC()
		}
	}
	return list, nil
}
