package controller

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/whiskaway/whiskaway/platform/store"
)

// Who has no key is served on behalf of somebody who has one, and is not blocked.
func TestOwnerOfANamespace(t *testing.T) {
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	c := &Controller{store: st}
	c.access = access{store: st, changed: c.resolved.forget}
	for i, who := range []string{"ann", "bob", "team"} {
		if err := st.AddSubject(t.Context(), store.Subject{UUID: string(rune('0' + i)), Name: who, Namespace: "team", KeyHash: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ block, want string }{{"", "team"}, {"team", "ann"}, {"ann", "bob"}, {"bob", ""}} {
		if step.block != "" {
			if err := st.BlockSubjects(t.Context(), step.block, true); err != nil {
				t.Fatal(err)
			}
		}
		c.access.checked = c.access.checked.Add(-accessFor) // as if a second had gone by
		id, err := c.ownerOf(t.Context(), "team")
		if id.Subject != step.want || errors.Is(err, errNotFound) != (step.want == "") || id.Key != "" {
			t.Errorf("after %q was blocked: %+v, %v; want %q", step.block, id, err, step.want)
		}
	}
	if _, err := c.ownerOf(t.Context(), "nobodys"); !errors.Is(err, errNotFound) {
		t.Errorf("a namespace of nobody: %v", err)
	}
}
