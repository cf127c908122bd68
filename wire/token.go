package wire

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// A Role is what a token is good for.
type Role string

// The roles.
const (
	RoleJoin   Role = "join"   // servers: to join a balancer, and nothing else
	RoleClient Role = "client" // runtimes: to hand over code, and to run functions
	RoleAdmin  Role = "admin"  // people: what clients may, and to see the status
)

// A Token is what a person handles as one string: the secret, and where the
// host has a certificate authority of its own, "~" and that one's fingerprint.
type Token struct {
	// Secret is what is sent.
	Secret string
	// Fingerprint is the base64url SHA-256 of the certificate (DER) of the
	// authority that the host's certificate must come from. Empty: any public
	// authority.
	Fingerprint string
}

// String does not tell the secret, so that no log ever holds it.
func (t Token) String() string { return "(a token)" }

// GoString does not tell the secret either.
func (t Token) GoString() string { return t.String() }

// Text returns the token as ParseToken reads it. It is secret.
func (t Token) Text() string {
	if t.Fingerprint == "" {
		return t.Secret
	}
	return t.Secret + "~" + t.Fingerprint
}

// ParseToken reads SECRET or SECRET~FINGERPRINT. Its errors do not quote the text.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	t := Token{Secret: text}
	if i := strings.LastIndexByte(text, '~'); i >= 0 {
		t.Secret, t.Fingerprint = text[:i], text[i+1:]
		if err := checkFingerprint(t.Fingerprint); err != nil {
			return Token{}, fmt.Errorf("what follows the last ~ of the token %w; was it copied whole?", err)
		}
	}
	if t.Secret == "" {
		return Token{}, errors.New("the token is empty")
	}
	for _, c := range []byte(t.Secret) {
		if c <= ' ' || c > '~' {
			return Token{}, errors.New("the token has a space, a line break or another character that no token has; was it copied whole?")
		}
	}
	return t, nil
}

func checkFingerprint(text string) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 32 {
		return errors.New("is not a fingerprint, which has 43 letters, digits, - and _")
	}
	return nil
}

// NewSecret returns a random secret, 192 bits, that says which role it is for.
func NewSecret(role Role) string {
	var b [24]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return "wa_" + string(role) + "_" + base64.RawURLEncoding.EncodeToString(b[:])
}
