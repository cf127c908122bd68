package store

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A file that the first release wrote has everything still, in its order.
func TestAnOldFileIsBroughtToTodaysLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.db")
	old, err := sql.Open("sqlite", dsn(path, syncNormal, "immediate"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		migrations[0].sqlite, "PRAGMA user_version = 1",
		"INSERT INTO code (id, code) VALUES (1, 'one'), (2, 'naïve'), (3, 'gone')", "DELETE FROM code WHERE id = 3",
		"INSERT INTO activations VALUES ('b', 'guest', 'p/hello', 7, 0, '{}', '{}', '[]'), ('a', 'guest', 'hello', 7, 0, '{}', '{}', '[]')",
	} {
		statement = strings.NewReplacer("'{}'", "x'7b7d'", "'[]'", "x'5b5d'").Replace(statement)
		if _, err := old.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	old.Close()
	s, ctx := file(path).open(t), t.Context()
	if code, err := s.Code(ctx, 2); code != "naïve" || err != nil {
		t.Errorf("code: %q, %v", code, err)
	}
	code := "new"
	e := put(t, s, Entity{Key: Key{"guest", "", "x"}, Collection: Actions, Doc: []byte("{}")}, &code)
	if e.CodeID != 4 {
		t.Errorf("the id %d was used before", e.CodeID)
	}
	for name, want := range map[string]string{"": "a b", "hello": "a", "p/hello": "b", "q/hello": ""} {
		list, err := s.Activations(ctx, Filter{Namespace: "guest", Path: name})
		var ids []string
		for _, a := range list {
			ids = append(ids, a.ID)
		}
		if got := strings.Join(ids, " "); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestANewerLayoutIsRefused(t *testing.T) { onEach(t, testANewerLayoutIsRefused) }

func testANewerLayoutIsRefused(t *testing.T, at place) {
	s := at.open(t)
	err := s.inTx(t.Context(), func(tx queryer) error { return s.dialect.setLayout(t.Context(), tx, len(migrations)+1) })
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err := at.try(t.Context(), slog.New(slog.DiscardHandler)); err == nil {
		s.Close()
		t.Error("a newer database was opened")
	} else if !strings.Contains(err.Error(), "newer Whiskaway") {
		t.Error(err)
	}
}

// Platforms that start at the same moment do not migrate beside each other.
func TestMigrationsRunOnce(t *testing.T) { onEach(t, testMigrationsRunOnce) }

func testMigrationsRunOnce(t *testing.T, at place) {
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			s, err := at.try(context.Background(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wait.Wait()
}
