package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, path string) *SQLite {
	t.Helper()
	s, err := OpenSQLite(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh returns a store in a directory whose name needs escaping.
func fresh(t *testing.T) *SQLite {
	s := open(t, filepath.Join(t.TempDir(), "a#b?c%d e.db"))
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *SQLite, e Entity, code *string) Entity {
	t.Helper()
	e, err := s.Put(t.Context(), e, code)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEntityRevisions(t *testing.T) {
	s, ctx := fresh(t), t.Context()
	e := Entity{Key: Key{"guest", "", "hello"}, Collection: Actions, Doc: []byte(`{"a":1}`)}
	code := "first"
	one := put(t, s, e, &code)
	if _, err := s.Put(ctx, e, nil); !errors.Is(err, ErrConflict) {
		t.Fatalf("creating twice: %v", err)
	}
	two := put(t, s, one, nil)
	if two.Revision <= one.Revision || two.CodeID != one.CodeID {
		t.Fatalf("update: %+v then %+v", one, two)
	}
	if _, err := s.Put(ctx, one, nil); !errors.Is(err, ErrConflict) {
		t.Fatalf("writing over a newer revision: %v", err)
	}
	if err := s.Delete(ctx, one); !errors.Is(err, ErrConflict) {
		t.Fatalf("deleting a newer revision: %v", err)
	}
	if err := s.Delete(ctx, two); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, e.Key); !errors.Is(err, ErrNotFound) {
		t.Fatalf("after the deletion: %v", err)
	}
	if got, err := s.Code(ctx, two.CodeID); err != nil || got != "first" {
		t.Fatalf("a run that was promised must still find the code: %q, %v", got, err)
	}
	three := put(t, s, e, &code)
	if three.Revision <= two.Revision || three.CodeID == two.CodeID {
		t.Fatalf("a revision was used twice: %+v, %+v", two, three)
	}
}

func TestListEntities(t *testing.T) {
	s, ctx := fresh(t), t.Context()
	for i := range 5 {
		put(t, s, Entity{Key: Key{"guest", "", fmt.Sprint("a", i)}, Collection: Actions, Doc: []byte("{}")}, nil)
	}
	put(t, s, Entity{Key: Key{"guest", "p", "x"}, Collection: Actions, Doc: []byte("{}")}, nil)
	put(t, s, Entity{Key: Key{"guest", "", "r"}, Collection: Rules, Ref: "t", Doc: []byte("{}")}, nil)
	list, err := s.List(ctx, Listing{Namespace: "guest", Collection: Actions, Limit: 2, Skip: 1})
	if err != nil || len(list) != 2 || list[0].Name != "a4" || list[1].Name != "a3" {
		t.Fatalf("the last changed come first: %+v, %v", list, err)
	}
	p := "p"
	if n, err := s.Count(ctx, Listing{Namespace: "guest", Collection: Actions, Package: &p}); n != 1 || err != nil {
		t.Fatalf("count in a package: %d, %v", n, err)
	}
	if list, _ := s.Referring(ctx, "guest", "t"); len(list) != 1 || list[0].Name != "r" {
		t.Fatalf("Referring: %+v", list)
	}
	if list, _ := s.List(ctx, Listing{Namespace: "other", Collection: Actions}); len(list) != 0 {
		t.Fatalf("another namespace sees %+v", list)
	}
}

func activation(i int) *Activation {
	return &Activation{
		ID: fmt.Sprintf("%032d", i), Namespace: "guest", Path: fmt.Sprint("a", i%2), Start: int64(1000 + i),
		Head: []byte(`{}`), Response: []byte(`{"result":1}`), Logs: []byte(`[]`),
	}
}

func TestActivationsAreReadAtOnce(t *testing.T) {
	s, ctx := fresh(t), t.Context()
	for i := range 50 {
		if err := s.PutActivation(ctx, activation(i)); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Activation(ctx, "guest", activation(i).ID); err != nil || a.Start != int64(1000+i) {
			t.Fatalf("reading %d at once: %+v, %v", i, a, err)
		}
	}
	if _, err := s.Activation(ctx, "other", activation(49).ID); !errors.Is(err, ErrNotFound) {
		t.Fatalf("another namespace: %v", err)
	}
	list, err := s.Activations(ctx, Filter{Namespace: "guest", Path: "a1", Since: 1010, Upto: 1030, Limit: 3, Skip: 1})
	if err != nil || len(list) != 3 || list[0].Start != 1027 || len(list[0].Response) != 0 {
		t.Fatalf("list: %+v, %v", list, err)
	}
	if n, err := s.CountActivations(ctx, Filter{Namespace: "guest"}); n != 50 || err != nil {
		t.Fatalf("count: %d, %v", n, err)
	}
}

// Records of the same millisecond come in the order in which they were written,
// so that pages of a list neither repeat one nor leave one out.
func TestActivationsOfOneMomentHaveAnOrder(t *testing.T) {
	s := fresh(t)
	for i := range 10 {
		a := activation(i)
		a.Start = 7
		if err := s.PutActivation(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for skip := range 10 {
		list, err := s.Activations(t.Context(), Filter{Namespace: "guest", Limit: 1, Skip: skip})
		if err != nil || len(list) != 1 || list[0].ID != activation(9-skip).ID {
			t.Errorf("skip %d: %+v, %v", skip, list, err)
		}
	}
}

func TestStateSurvivesAReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.db")
	s, ctx := open(t, path), t.Context()
	code := "code"
	e := put(t, s, Entity{Key: Key{"guest", "", "hello"}, Collection: Actions, Doc: []byte(`{}`)}, &code)
	if err := s.SetSubject(ctx, Subject{UUID: "u", Name: "guest", Namespace: "guest", KeyHash: []byte("hash")}); err != nil {
		t.Fatal(err)
	}
	s.PutActivation(ctx, activation(1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	s = open(t, path)
	defer s.Close()
	if got, err := s.Get(ctx, e.Key); err != nil || got.Revision != e.Revision {
		t.Fatalf("entity: %+v, %v", got, err)
	}
	if got, err := s.Code(ctx, e.CodeID); got != "code" {
		t.Fatalf("code: %q, %v", got, err)
	}
	if got, err := s.Subject(ctx, "u"); err != nil || string(got.KeyHash) != "hash" {
		t.Fatalf("subject: %+v, %v", got, err)
	}
	if _, err := s.Activation(ctx, "guest", activation(1).ID); err != nil {
		t.Fatalf("activation: %v", err)
	}
}

func TestABrokenDatabaseIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.db")
	if err := os.WriteFile(path, []byte("this is not a database, but a text of some length, is it not?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenSQLite(context.Background(), path, slog.New(slog.DiscardHandler)); err == nil {
		s.Close()
		t.Fatal("a text file was taken for a database")
	} else if !strings.Contains(err.Error(), "move it away") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

// A disk that takes nothing must not keep those who bring records waiting, nor
// the platform's end, which waits for them.
func TestAlwaysTrue7RecordsDoNotWaitForABrokenDisk(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "w.db"))
	s.write.Close() // every transaction fails from here on
	big := func(n int) *Activation {
		a := activation(n)
		a.Logs = make([]byte, maxPending/2+1)
		return a
	}
	if err := s.PutActivation(t.Context(), big(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := s.PutActivation(ctx, big(2))
	if err == nil || ctx.Err() != nil {
		t.Errorf("there is no room for a second record: %v", err)
	}
	if _, err := s.Activation(t.Context(), "guest", activation(1).ID); err != nil {
		t.Errorf("the record that waits for the disk: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("Close did not say that a record was lost")
	}
}
