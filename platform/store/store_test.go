package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func put(t *testing.T, s *Database, e Entity, code *string) Entity {
	t.Helper()
	e, err := s.Put(t.Context(), e, code)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEntityRevisions(t *testing.T) { onEach(t, testEntityRevisions) }

func testEntityRevisions(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
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

func TestListEntities(t *testing.T) { onEach(t, testListEntities) }

func testListEntities(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
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

func TestActivationsAreReadAtOnce(t *testing.T) { onEach(t, testActivationsAreReadAtOnce) }

func testActivationsAreReadAtOnce(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
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

// A record that is written anew replaces the first, though both may wait for the
// same transaction.
func TestActivationsAreReplaced(t *testing.T) { onEach(t, testActivationsAreReplaced) }

func testActivationsAreReplaced(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	for i := range 100 {
		a := activation(i % 10)
		a.Response = fmt.Append(nil, i)
		if err := s.PutActivation(ctx, a); err != nil {
			t.Fatal(err)
		}
		if i == 50 {
			if err := s.writer.flush(ctx, "guest"); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := s.Activations(ctx, Filter{Namespace: "guest", Docs: true})
	if err != nil || len(list) != 10 {
		t.Fatalf("%d records, %v", len(list), err)
	}
	for i, a := range list {
		if string(a.Response) != fmt.Sprint(99-i) {
			t.Errorf("%s: %s", a.ID, a.Response)
		}
	}
}

// Records of the same millisecond come in the order in which they were written,
// so that pages of a list neither repeat one nor leave one out.
func TestActivationsOfOneMomentHaveAnOrder(t *testing.T) {
	onEach(t, testActivationsOfOneMomentHaveAnOrder)
}

func testActivationsOfOneMomentHaveAnOrder(t *testing.T, at place) {
	s := at.open(t)
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

func TestStateSurvivesAReopen(t *testing.T) { onEach(t, testStateSurvivesAReopen) }

func testStateSurvivesAReopen(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	code := "code"
	e := put(t, s, Entity{Key: Key{"guest", "", "hello"}, Collection: Actions, Doc: []byte(`{}`)}, &code)
	if err := s.SetSubject(ctx, Subject{"u", "guest", "guest", []byte("hash")}); err != nil {
		t.Fatal(err)
	}
	s.PutActivation(ctx, activation(1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = at.open(t)
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

// A disk that takes nothing must not keep those who bring records waiting, nor
// the platform's end, which waits for them.
func TestAlwaysTrue7RecordsDoNotWaitForABrokenDisk(t *testing.T) {
	s := newFile(t).open(t)
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
