package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func accept(t *testing.T, s *Database, entries ...Accepted) {
	t.Helper()
	for _, a := range entries {
		if err := s.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

func claimRun(t *testing.T, s *Database, id string) bool {
	t.Helper()
	mine, err := s.ClaimRun(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return mine
}

func takeOver(t *testing.T, s *Database) {
	t.Helper()
	if err := s.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// left is what a further start finds, without an order of its own.
func left(t *testing.T, at place) (ids []string, byID map[string]Accepted) {
	t.Helper()
	s := at.open(t)
	defer s.Close()
	takeOver(t, s)
	list, err := s.Left(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	byID = map[string]Accepted{}
	for _, a := range list {
		ids, byID[a.ID] = append(ids, a.ID), a
	}
	return ids, byID
}

func TestJournal(t *testing.T) { onEach(t, testJournal) }

func testJournal(t *testing.T, at place) {
	s := at.open(t)
	body := []byte("{}\n\x00\xff")
	for i := range 6 {
		accept(t, s, Accepted{ID: activation(i).ID, Kind: AcceptedRun, CodeID: int64(i), Body: body})
	}
	if list, err := s.Left(t.Context(), 0, 10); err != nil || len(list) != 0 {
		t.Errorf("what is accepted now was not left by another: %v, %v", list, err)
	}
	if !claimRun(t, s, activation(1).ID) || claimRun(t, s, activation(1).ID) {
		t.Error("an entry is not claimed exactly once")
	}
	if claimRun(t, s, "nobody") {
		t.Error("what is not there was claimed")
	}
	if err := s.Forget(t.Context(), activation(2).ID); err != nil {
		t.Fatal(err)
	}
	if err := s.PutActivation(t.Context(), activation(3)); err != nil {
		t.Fatal(err)
	}
	if err := s.KeepActivation(t.Context(), activation(4)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	ids, byID := left(t, at)
	if want := []string{activation(0).ID, activation(1).ID, activation(5).ID}; !slices.Equal(ids, want) {
		t.Fatalf("left: %v, want %v", ids, want)
	}
	if a := byID[activation(0).ID]; a.Sent != 0 || string(a.Body) != string(body) || a.Kind != AcceptedRun {
		t.Errorf("what was not sent: %+v", a)
	}
	if a := byID[activation(1).ID]; time.Since(time.UnixMilli(a.Sent)).Abs() > time.Minute || a.CodeID != 1 {
		t.Errorf("what was sent: %+v", a)
	}
	if claimRun(t, at.open(t), activation(1).ID) {
		t.Error("what was sent before a restart was claimed after it")
	}
}

// What comes after its record is no entry any more.
func TestAcceptedWhenItIsOver(t *testing.T) { onEach(t, testAcceptedWhenItIsOver) }

func testAcceptedWhenItIsOver(t *testing.T, at place) {
	s := at.open(t)
	if err := s.KeepActivation(t.Context(), activation(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.PutActivation(t.Context(), activation(1)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		accept(t, s, Accepted{ID: activation(i).ID, Kind: AcceptedRun, Late: true, Body: []byte("x")})
	}
	s.Close()
	if ids, _ := left(t, at); !slices.Equal(ids, []string{activation(2).ID}) {
		t.Errorf("left: %v, want only the one without a record", ids)
	}
}

func TestLeftComesInPagesAndInOrder(t *testing.T) { onEach(t, testLeftComesInPagesAndInOrder) }

func testLeftComesInPagesAndInOrder(t *testing.T, at place) {
	s := at.open(t)
	for i := range 10 {
		accept(t, s, Accepted{ID: activation(9 - i).ID, Kind: AcceptedRun, Body: []byte("x")})
	}
	s.Close()
	s = at.open(t)
	takeOver(t, s)
	accept(t, s, Accepted{ID: "new", Kind: AcceptedRun, Body: []byte("x")})
	var got []string
	for after, more := int64(0), true; more; {
		page, err := s.Left(t.Context(), after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			got, after = append(got, a.ID), a.Place
		}
		more = len(page) > 0
	}
	for i, id := range got {
		if id != activation(9-i).ID || len(got) != 10 {
			t.Fatalf("left: %v", got)
		}
	}
}

// The code of an action stays as long as something that was accepted needs it, however
// long the platform was away.
func TestCodeStaysForWhatWasAccepted(t *testing.T) { onEach(t, testCodeStaysForWhatWasAccepted) }

func testCodeStaysForWhatWasAccepted(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	code := "the code"
	e := put(t, s, Entity{Key: Key{"guest", "", "hello"}, Collection: Actions, Doc: []byte("{}")}, &code)
	other := put(t, s, Entity{Key: Key{"guest", "", "other"}, Collection: Actions, Doc: []byte("{}")}, &code)
	accept(t, s, Accepted{ID: activation(0).ID, Kind: AcceptedRun, CodeID: e.CodeID, Body: []byte("x")})
	for _, e := range []Entity{e, other} {
		if err := s.Delete(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	longAgo := func() {
		t.Helper()
		err := s.inTx(ctx, func(tx queryer) error {
			_, err := tx.exec(ctx, "UPDATE code SET released = 1 WHERE released IS NOT NULL")
			return errors.Join(err, releaseCode(ctx, tx, 0))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	longAgo()
	if got, err := s.Code(ctx, e.CodeID); err != nil || got != code {
		t.Errorf("the code that a run was promised: %q, %v", got, err)
	}
	if _, err := s.Code(ctx, other.CodeID); !errors.Is(err, ErrNotFound) {
		t.Errorf("code that nobody needs: %v", err)
	}
	if err := s.KeepActivation(ctx, activation(0)); err != nil {
		t.Fatal(err)
	}
	longAgo()
	if _, err := s.Code(ctx, e.CodeID); !errors.Is(err, ErrNotFound) {
		t.Errorf("code of a run that is over: %v", err)
	}
}

// Many callers share transactions, and each is told what came of its own wish.
func TestJournalOfManyCallers(t *testing.T) { onEach(t, testJournalOfManyCallers) }

func testJournalOfManyCallers(t *testing.T, at place) {
	s := at.open(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	claims := map[string]int{}
	for i := range 64 {
		all.Go(func() {
			for n := range 10 {
				id := fmt.Sprintf("%d-%d", i, n)
				if err := s.Accept(t.Context(), Accepted{ID: id, Kind: AcceptedRun, Late: n%2 > 0, Body: []byte("x")}); err != nil {
					t.Error(err)
				}
				var two sync.WaitGroup
				for range 2 { // two invokers that have the same message
					two.Go(func() {
						mine, err := s.ClaimRun(t.Context(), id)
						if err != nil {
							t.Error(err)
						}
						if mine {
							mu.Lock()
							claims[id]++
							mu.Unlock()
						}
					})
				}
				two.Wait()
				if n == 3 {
					if err := s.Forget(t.Context(), id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	for id, n := range claims {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(claims) != 640 {
		t.Errorf("%d were claimed, want 640", len(claims))
	}
	s.Close()
	if ids, _ := left(t, at); len(ids) != 640-64 {
		t.Errorf("%d are left, want %d", len(ids), 640-64)
	}
	if err := s.Accept(context.Background(), Accepted{ID: "late"}); err == nil {
		t.Error("a closed store accepts")
	}
}

func TestDraft(t *testing.T) {
	d := int64(7)
	r := &Record{
		ID: "id", Name: "n", Namespace: "ns", Subject: "s", Version: "0.0.1", Path: "p/n", Cause: "c",
		Start: 1795391443809, Duration: &d, Logs: []string{"a", "b"}, Result: json.RawMessage("{}"), Unkept: true,
		Annotations: []Annotation{{"big", json.Number("9007199254740993")}, {"kind", "sequence"}, {"topmost", true}},
	}
	body, err := r.Draft()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadDraft(body)
	if err != nil {
		t.Fatal(err)
	}
	got.Result = r.Result
	want, _ := r.Encode()
	if a, err := got.Encode(); err != nil || string(a.Document()) != string(want.Document()) || a.Path != "p/n" || !a.Unkept {
		t.Errorf("%v\n%s\nwant\n%s", err, a.Document(), want.Document())
	}
	for _, bad := range []string{"", "{}", "[]", `{"Record":7}`} {
		if _, err := ReadDraft([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
