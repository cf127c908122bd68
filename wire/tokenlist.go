package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// A knownToken is one entry of tokens.json.
type knownToken struct {
	TokenInfo
	SHA256 hexBytes `json:"sha256"` // of the secret
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

// same reports whether both stand for the same secret with the same rights.
func (k *knownToken) same(other *knownToken) bool {
	return k.ID == other.ID && k.SHA256 == other.SHA256 && k.Role == other.Role && k.Namespace == other.Namespace &&
		slices.Equal(k.Labels, other.Labels) && k.Expires.Equal(other.Expires)
}

// parseTokens reads tokens.json. People may have written in it, so it is checked whole: a token
// that is half understood must not be good for more than was meant.
func parseTokens(text []byte) ([]knownToken, error) {
	var known []knownToken
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, err
	}
	if len(known) > maxTokens {
		return nil, fmt.Errorf("it has %d tokens, the limit is %d", len(known), maxTokens)
	}
	seen := make(map[string]bool, len(known))
	for i := range known {
		k := &known[i]
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("token %d: %w", i+1, err)
		}
		if seen[k.ID] {
			return nil, fmt.Errorf("the id %q is there twice", k.ID)
		}
		if k.SHA256 == (hexBytes{}) {
			return nil, fmt.Errorf("the token %q has no sha256", k.ID)
		}
		seen[k.ID] = true
		slices.Sort(k.Labels)
		k.Labels = slices.Compact(k.Labels)
	}
	return known, nil
}
