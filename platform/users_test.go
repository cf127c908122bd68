package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
	"github.com/whiskaway/whiskaway/test/postgres"
)

// The users of a platform that does not run, in a file and on a server.
func TestUsers(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		open(t, dir, nil).done()
		testUsers(t, dir, "")
	})
	t.Run("postgres", func(t *testing.T) {
		server, err := postgres.Start(t.Context())
		if errors.Is(err, postgres.ErrMissing) && os.Getenv("CI") != "true" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Stop() })
		url, err := server.Database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testUsers(t, t.TempDir(), url)
	})
}

func testUsers(t *testing.T, dir, database string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	u, err := OpenUsers(ctx, dir, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}()
	wrong := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ann, key, err := u.Create(ctx, "ann", "", "")
	if err != nil || ann.Namespace != "ann" || !strings.HasPrefix(key, ann.UUID+":") {
		t.Fatalf("%+v, %q, %v", ann, key, err)
	}
	if _, _, err := controller.ParseKey(key); err != nil {
		t.Errorf("our own key is not good: %v", err)
	}
	_, _, err = u.Create(ctx, "bob", "", key)
	wrong(err, "a key with that UUID is there already")
	_, _, err = u.Create(ctx, "ann", "ann", "")
	wrong(err, "the user ann has a key for the namespace ann already")
	if _, _, err := u.Create(ctx, "ann", "team", ""); err != nil {
		t.Fatal(err)
	}
	_, _, err = u.NewKey(ctx, "ann", "", "")
	wrong(err, "several namespaces (ann, team)")
	renewed, second, err := u.NewKey(ctx, "ann", "ann", "")
	if err != nil || renewed.UUID != ann.UUID || second == key {
		t.Errorf("a new key: %+v, %v", renewed, err)
	}
	n := 7
	if err := u.SetLimits(ctx, "ann", store.NamespaceLimits{FiresPerMinute: &n}); err != nil {
		t.Fatal(err)
	}
	if l, err := u.Limits(ctx, "ann"); err != nil || l.FiresPerMinute == nil || *l.FiresPerMinute != 7 {
		t.Errorf("limits: %+v, %v", l, err)
	}
	wrong(u.SetLimits(ctx, "nobodys", store.NamespaceLimits{}), "nobody has a key for a namespace nobodys")
	if err := u.Block(ctx, []string{"ann", "nobody"}, true); err == nil || err.Error() != "there is no user nobody" {
		t.Errorf("blocking: %v", err)
	}
	list, err := u.Get(ctx, "ann")
	if err != nil || len(list) != 2 || !list[0].Blocked || !list[1].Blocked {
		t.Errorf("both are blocked: %+v, %v", list, err)
	}
	if _, err := u.store.Put(ctx, store.Entity{Key: store.Key{Namespace: "ann", Name: "x"}, Collection: store.Triggers, Doc: []byte("{}")}, nil); err != nil {
		t.Fatal(err)
	}
	_, err = u.Delete(ctx, "ann", "", false)
	wrong(err, "nobody else has a key for the namespace ann, which has 1 trigger; delete that first, or all of it with --force")
	if gone, err := u.Delete(ctx, "ann", "team", false); err != nil || len(gone) != 1 { // it is empty
		t.Errorf("deleting one key: %+v, %v", gone, err)
	}
	if gone, err := u.Delete(ctx, "ann", "", true); err != nil || len(gone) != 1 {
		t.Errorf("deleting the rest: %+v, %v", gone, err)
	}
	_, err = u.Get(ctx, "ann")
	wrong(err, "there is no user ann")
	if _, err := u.store.Get(ctx, store.Key{Namespace: "ann", Name: "x"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was in the namespace: %v", err)
	}
	if _, _, err := u.Create(ctx, "ann", "", ""); err != nil {
		t.Fatal(err)
	}
	if l, err := u.Limits(ctx, "ann"); err != nil || l.FiresPerMinute != nil {
		t.Errorf("a later user has the earlier one's limits: %+v, %v", l, err)
	}
}

// A key that somebody replaced or removed does not come back with the next start.
func TestARemovedKeyStaysRemoved(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil).done()
	u, err := OpenUsers(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := u.Create(t.Context(), "ann", "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Delete(t.Context(), "guest", "", false); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	h := open(t, dir, nil)
	h.want(401, "GET", ns+"actions", "")
	h.done()
	if err := os.Remove(filepath.Join(dir, propsFile)); err != nil {
		t.Fatal(err)
	}
	open(t, dir, nil).want(200, "GET", ns+"limits", "") // that asks for a new one
}
