package wire

import (
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A TokenSpec says what a new token shall be good for.
type TokenSpec struct {
	Role Role
	// Namespace is the only one that a client's token is good for; empty: all.
	Namespace string
	// Labels are what servers get that join with the token, or what a client's
	// functions need of a server besides what they ask for themselves.
	Labels []string
	// TTL is how long the token is good; 0: until it is revoked.
	TTL time.Duration
}

// A TokenInfo is what may be told of a token: all but its secret.
type TokenInfo struct {
	ID        string    `json:"id"` // not secret; names the token in logs
	Role      Role      `json:"role"`
	Namespace string    `json:"namespace,omitempty"`
	Labels    []string  `json:"labels,omitempty"` // sorted
	Created   time.Time `json:"created,omitzero"` // zero: before this was kept
	Expires   time.Time `json:"expires,omitzero"` // zero: never
	Used      time.Time `json:"used,omitzero"`    // last, to the minute; zero: never
}

// A CreatedToken is a new token. Text is secret, and told this one time only.
type CreatedToken struct {
	TokenInfo
	Text string `json:"token"` // as ParseToken reads it
}

// Expired reports whether the token's time is over.
func (i TokenInfo) Expired(now time.Time) bool { return !i.Expires.IsZero() && !now.Before(i.Expires) }

const (
	// maxTokenTTL bounds how long a token that expires may be good.
	maxTokenTTL = 100 * 365 * 24 * time.Hour
	// maxTokenNamespace bounds a namespace's name, in bytes; OpenWhisk's have 256 at most.
	maxTokenNamespace = 256
	// maxTokenLabels bounds the labels of one token.
	maxTokenLabels = 32
)

// check says what is wrong with a token before it is made, and sorts its labels.
func (s *TokenSpec) check() error {
	info := TokenInfo{ID: "new", Role: s.Role, Namespace: s.Namespace, Labels: s.Labels}
	switch {
	case s.Namespace != "" && s.Role != RoleClient:
		return function.Errorf(function.CodeBadRequest, "only a client's token is limited to a namespace; the role %s is for the whole host", s.Role)
	case len(s.Labels) > 0 && s.Role == RoleAdmin:
		return function.Errorf(function.CodeBadRequest, "labels are for join and client tokens; an admin token is for the whole host")
	case s.TTL < 0 || s.TTL > maxTokenTTL:
		return function.Errorf(function.CodeBadRequest, "a token's time to live is at most 100 years, and not below 0, which means for ever; %v is neither", s.TTL)
	}
	if err := info.check(); err != nil {
		return function.Errorf(function.CodeBadRequest, "%v", err)
	}
	s.Labels = slices.Clone(s.Labels)
	slices.Sort(s.Labels)
	s.Labels = slices.Compact(s.Labels)
	return nil
}

// check says what is wrong with a token, new or from tokens.json.
func (i *TokenInfo) check() error {
	switch i.Role {
	case RoleJoin, RoleClient, RoleAdmin:
	default:
		return function.Errorf(function.CodeBadRequest, "the role %q is not known; there are join, client and admin", i.Role)
	}
	if !isTokenID(i.ID) {
		return function.Errorf(function.CodeBadRequest, "%.80q cannot be a token's id", i.ID)
	}
	if len(i.Namespace) > maxTokenNamespace || strings.ContainsFunc(i.Namespace, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f || r == '�' }) {
		return function.Errorf(function.CodeBadRequest, "%.80q cannot be a namespace: it has a space, a / or another such character, or is longer than %d", i.Namespace, maxTokenNamespace)
	}
	if len(i.Labels) > maxTokenLabels {
		return function.Errorf(function.CodeBadRequest, "a token has at most %d labels, this one has %d", maxTokenLabels, len(i.Labels))
	}
	for _, label := range i.Labels {
		if err := function.CheckLabel(label); err != nil {
			return err
		}
	}
	return nil
}

// isTokenID reports whether id can be a token's: it is a part of paths and of file names.
func isTokenID(id string) bool {
	const longest = 64
	other := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	return id != "" && len(id) <= longest && !strings.ContainsFunc(id, other)
}
