package controller

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// minKey is how long the second half of a key must be, in characters: as OpenWhisk's wskadmin wants it.
const minKey = 64

// NewKey returns both halves of a new API key: a random UUID of version 4, and 64 random letters and digits, more than
// 320 bits.
func NewKey() (uuid, key string) {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	uuid = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	return uuid, (rand.Text() + rand.Text() + rand.Text())[:minKey]
}

var (
	uuids = regexp.MustCompile(`\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z`)
	keys  = regexp.MustCompile(`\A[!-~]+\z`)
)

// ParseKey takes an API key apart that somebody chose.
func ParseKey(auth string) (uuid, key string, err error) {
	uuid, key, ok := strings.Cut(strings.TrimSpace(auth), ":")
	uuid = strings.ToLower(uuid)
	switch {
	case !ok:
		return "", "", fmt.Errorf("the key must be UUID:KEY, with a colon between the two")
	case !uuids.MatchString(uuid):
		return "", "", fmt.Errorf("authorization id is not a valid UUID: it looks like 01234567-89ab-4cde-8f01-23456789abcd")
	case len(key) < minKey:
		return "", "", fmt.Errorf("authorization key must be at least %d characters long; it has %d", minKey, len(key))
	case !keys.MatchString(key):
		return "", "", fmt.Errorf("authorization key must be of letters, digits and signs, without blanks")
	}
	return uuid, key, nil
}

// CheckSubject says what is wrong with the name of a subject or of a namespace, if anything.
func CheckSubject(what, name string) error {
	if err := checkName(name); err != nil || name == "_" {
		reason := "it must be of letters, digits, '_', and inside also '@', '.', '&', '-' and blanks"
		if refused, ok := err.(*Error); ok && refused.Status == http.StatusRequestEntityTooLarge {
			reason = fmt.Sprintf("it has %d bytes, %d are allowed", len(name), maxName)
		}
		if name == "_" {
			reason = "'_' stands for everybody's own namespace"
		}
		return fmt.Errorf("the %s %q: %s", what, name, reason)
	}
	if name == SystemNamespace {
		return fmt.Errorf("the %s %q is the platform's own", what, name)
	}
	return nil
}
