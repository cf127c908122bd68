package wire

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A TokenKeeper makes, lists and revokes the tokens of a host: a TokenDir on its
// machine, a Client with an admin token from afar.
type TokenKeeper interface {
	// CreateToken makes a token. CodeBadRequest: there can be no such token.
	CreateToken(ctx context.Context, spec TokenSpec) (CreatedToken, error)
	// ListTokens returns all tokens, the expired ones too, in the order in which they were made.
	ListTokens(ctx context.Context) ([]TokenInfo, error)
	// RevokeToken takes a token out. Without force the last admin token that is
	// good stays, with CodeBadRequest: nobody could manage the host from afar then.
	RevokeToken(ctx context.Context, id string, force bool) error
}

// A TokenDir is the data directory of a host, as far as its tokens go. Any number of processes
// may use it at a time; the host itself, if it runs, sees a change by Tokens.Follow.
type TokenDir string

var _ TokenKeeper = TokenDir("")

// maxTokens bounds the tokens of a host: each request is compared with all.
const maxTokens = 1000

func (d TokenDir) hashes() string      { return filepath.Join(string(d), "tokens.json") }
func (d TokenDir) lastUses() string    { return filepath.Join(string(d), "tokens-used.json") }
func (d TokenDir) fingerprint() string { return filepath.Join(string(d), "fingerprint") }

// path returns the file that holds the token with that id for its user, if any does.
func (d TokenDir) path(id string) string { return filepath.Join(string(d), "tokens", id) }

// CreateToken makes a token. It is kept in no file: only its hash is.
func (d TokenDir) CreateToken(ctx context.Context, spec TokenSpec) (CreatedToken, error) {
	if err := spec.check(); err != nil {
		return CreatedToken{}, err
	}
	fingerprint, err := d.readFingerprint()
	if err != nil {
		return CreatedToken{}, err
	}
	token := Token{Secret: NewSecret(spec.Role), Fingerprint: fingerprint}
	entry := newEntry(spec, token, time.Now())
	err = d.update(ctx, func(known []knownToken) ([]knownToken, error) {
		if len(known) >= maxTokens {
			return nil, function.Errorf(function.CodeBadRequest, "there are %d tokens already, which is the limit; revoke those that are expired or not used", len(known))
		}
		for slices.ContainsFunc(known, func(k knownToken) bool { return k.ID == entry.ID }) {
			entry.ID = newTokenID(spec.Role)
		}
		return append(known, entry), nil
	})
	return CreatedToken{entry.TokenInfo, token.Text()}, err
}

func newEntry(spec TokenSpec, token Token, now time.Time) knownToken {
	entry := knownToken{SHA256: sha256.Sum256([]byte(token.Secret))}
	entry.TokenInfo = TokenInfo{ID: newTokenID(spec.Role), Role: spec.Role, Namespace: spec.Namespace, Labels: spec.Labels}
	entry.Created = now.UTC().Truncate(time.Second)
	if spec.TTL > 0 {
		entry.Expires = now.UTC().Add(spec.TTL).Truncate(time.Millisecond)
	}
	return entry
}

// newTokenID returns an id such as client-k3v9x2. It is short, for it is not secret.
func newTokenID(role Role) string { return string(role) + "-" + strings.ToLower(rand.Text()[:6]) }

// ListTokens returns the tokens with when they were last used, as the host last wrote it.
func (d TokenDir) ListTokens(context.Context) ([]TokenInfo, error) {
	known, err := d.read()
	if err != nil {
		return nil, err
	}
	used := d.readUses()
	list := make([]TokenInfo, len(known))
	for i, k := range known {
		list[i] = k.TokenInfo
		list[i].Used = used[k.ID]
	}
	return list, nil
}

// RevokeToken takes a token out, and its file.
func (d TokenDir) RevokeToken(ctx context.Context, id string, force bool) error {
	return d.update(ctx, func(known []knownToken) ([]knownToken, error) {
		i := slices.IndexFunc(known, func(k knownToken) bool { return k.ID == id })
		if i < 0 {
			return nil, function.Errorf(function.CodeBadRequest, "there is no token with the id %.80q; `whiskaway token list` shows the ids", id)
		}
		if !force && isLastAdmin(known, i, time.Now()) {
			return nil, function.Errorf(function.CodeBadRequest,
				"%s is the last admin token that is good: without one nobody can see the status, or manage tokens from afar; make another one first, or use --force", id)
		}
		if err := os.Remove(d.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing the file of the token: %w", err) // or a start without tokens.json would take it over
		}
		return slices.Delete(known, i, i+1), nil
	})
}

// isLastAdmin reports whether known[i] is the only admin token that is good.
func isLastAdmin(known []knownToken, i int, now time.Time) bool {
	good := func(k knownToken) bool { return k.Role == RoleAdmin && k.Namespace == "" && !k.Expired(now) }
	others := slices.Concat(known[:i], known[i+1:])
	return good(known[i]) && !slices.ContainsFunc(others, good)
}

// read returns the entries of tokens.json.
func (d TokenDir) read() ([]knownToken, error) {
	text, err := os.ReadFile(d.hashes())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there are no tokens in %s; start the platform, the balancer or the server that keeps its data there first: %w", string(d), err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tokens' hashes: %w", err)
	}
	known, err := parseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); restore it, or remove it to take the tokens from %s", d.hashes(), err, filepath.Join(string(d), "tokens"))
	}
	return known, nil
}

// update changes tokens.json while nobody else does.
func (d TokenDir) update(ctx context.Context, change func([]knownToken) ([]knownToken, error)) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	known, err := d.read()
	if err == nil {
		known, err = change(known)
	}
	if err != nil {
		return err
	}
	return d.write(known)
}

func (d TokenDir) write(known []knownToken) error {
	text, err := json.MarshalIndent(known, "", "  ")
	if err == nil {
		err = writeSecret(d.hashes(), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the tokens' hashes: %w", err)
	}
	return nil
}

// readFingerprint returns what tokens for this host carry, as the host said at its last start.
func (d TokenDir) readFingerprint() (string, error) {
	text, err := os.ReadFile(d.fingerprint())
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s does not say which fingerprint tokens carry, because no host of this version was started there yet; start it once", string(d))
	}
	if err != nil {
		return "", fmt.Errorf("reading the fingerprint: %w", err)
	}
	fingerprint := strings.TrimSpace(string(text))
	if fingerprint == "" {
		return "", nil
	}
	if err := checkFingerprint(fingerprint); err != nil {
		return "", fmt.Errorf("what is in %s %w; start the host again, and it is written anew", d.fingerprint(), err)
	}
	return fingerprint, nil
}

// readUses returns when tokens were last used. It is only for people, so what cannot be read is not known.
func (d TokenDir) readUses() map[string]time.Time {
	var used map[string]time.Time
	text, err := os.ReadFile(d.lastUses())
	if err != nil || json.Unmarshal(text, &used) != nil {
		return nil
	}
	return used
}
