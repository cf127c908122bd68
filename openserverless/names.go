package openserverless

import (
	"encoding/json"
	"net/http"
	"strings"
)

// names are how a client says which function it means. Some of their versions send
// the one, some the other, some both.
type names struct {
	actionID, hash string
}

// maxName bounds a name, in bytes; theirs have 36 and 32.
const maxName = 256

// checkNames refuses what none of their clients would send.
func checkNames(actionID, hash string) error {
	for _, name := range []string{actionID, hash} {
		if len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return refuse(http.StatusBadRequest, "A proxiedActionID or an actionCodeHash has at most %d visible ASCII characters.", maxName)
		}
	}
	return nil
}

// splitNames takes the names from the fields of a request, and returns the others.
func splitNames(fields []member) (n names, others []member, err error) {
	for _, f := range fields {
		var name *string
		switch f.name {
		case fieldActionID:
			name = &n.actionID
		case fieldHash:
			name = &n.hash
		default:
			others = append(others, f)
			continue
		}
		if *name != "" {
			return n, nil, refuse(http.StatusBadRequest, "The field %s is there twice.", f.name)
		}
		if json.Unmarshal(f.value, name) != nil {
			return n, nil, refuse(http.StatusBadRequest, "The field %s must be a text.", f.name)
		}
	}
	if n == (names{}) {
		return n, nil, refuse(http.StatusBadRequest, "The body says neither by proxiedActionID nor by actionCodeHash which action is meant.")
	}
	return n, others, checkNames(n.actionID, n.hash)
}
