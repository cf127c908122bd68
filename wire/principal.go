package wire

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/whiskaway/whiskaway/function"
)

// A Principal is who a token stands for.
type Principal struct {
	Role Role
	// Namespace is the only one that the token is good for; empty: all.
	Namespace string
	// Labels are what the operator says of who has the token, see TokenSpec. Sorted.
	Labels []string
	// ID names the token in logs. It is not secret.
	ID string

	valid context.Context // ends with the token; nil: it does not end
}

// onEnd calls f, in a goroutine of its own, when the token is good no more: it was revoked, or has expired.
// forget takes that back.
func (p Principal) onEnd(f func()) (forget func() bool) {
	if p.valid == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(p.valid, f)
}

// An Authorizer knows tokens.
type Authorizer interface {
	// Authorize returns whose secret this is, or an error with
	// CodeUnauthorized. An empty secret means that none was sent.
	Authorize(secret string) (Principal, error)
}

// Static returns an Authorizer that knows one token, which is good for
// everything but joining.
func Static(token Token) Authorizer {
	return static(sha256.Sum256([]byte(token.Secret)))
}

// WithClients returns an Authorizer that knows, besides what auth knows, tokens that are
// good for what clients may, in any namespace.
func WithClients(auth Authorizer, tokens ...Token) Authorizer {
	w := withClients{auth: auth}
	for _, t := range tokens {
		w.sums = append(w.sums, sha256.Sum256([]byte(t.Secret)))
	}
	return w
}

type withClients struct {
	auth Authorizer
	sums [][sha256.Size]byte
}

func (w withClients) Authorize(secret string) (Principal, error) {
	sum, found := sha256.Sum256([]byte(secret)), 0
	for i := range w.sums { // all of them, so that the time tells nothing
		found |= subtle.ConstantTimeCompare(sum[:], w.sums[i][:])
	}
	if secret != "" && found == 1 {
		return Principal{Role: RoleClient, ID: "balancer"}, nil
	}
	return w.auth.Authorize(secret)
}

type static [sha256.Size]byte

func (s static) Authorize(secret string) (Principal, error) {
	sum := sha256.Sum256([]byte(secret))
	if secret == "" || subtle.ConstantTimeCompare(sum[:], s[:]) != 1 {
		return Principal{}, wrongToken(secret)
	}
	return Principal{Role: RoleAdmin, ID: "static"}, nil
}

// trusted is the Authorizer of a connection that the server itself has dialled:
// who is at its other end was proved then.
type trusted struct{}

func (trusted) Authorize(string) (Principal, error) {
	return Principal{Role: RoleAdmin, ID: "balancer"}, nil
}

func wrongToken(secret string) error {
	if secret == "" {
		return function.Errorf(function.CodeUnauthorized, "a token is missing; send it as Authorization: Bearer TOKEN")
	}
	return function.Errorf(function.CodeUnauthorized, "the token is not one of this host's")
}
