package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func names(list []Subject) string {
	var all []string
	for _, s := range list {
		word := s.UUID + ":" + s.Name + "/" + s.Namespace
		if s.Blocked {
			word += "!"
		}
		all = append(all, word)
	}
	return strings.Join(all, " ")
}

func TestSubjects(t *testing.T) { onEach(t, testSubjects) }

func testSubjects(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	var version int64
	changed := func(what string, want bool) {
		t.Helper()
		now, err := s.AccessVersion(ctx)
		if err != nil || (now > version) != want || now < version {
			t.Errorf("%s: the version went from %d to %d, %v", what, version, now, err)
		}
		version = now
	}
	add := func(uuid, name, namespace string) error {
		return s.AddSubject(ctx, Subject{UUID: uuid, Name: name, Namespace: namespace, KeyHash: []byte{0, 255}})
	}
	for _, one := range [][3]string{{"1", "ann", "ann"}, {"2", "ann", "team"}, {"3", "bob", "team"}} {
		if err := add(one[0], one[1], one[2]); err != nil {
			t.Fatal(err)
		}
	}
	changed("added", true)
	for _, one := range [][3]string{{"1", "new", "new"}, {"9", "ann", "ann"}} {
		if err := add(one[0], one[1], one[2]); !errors.Is(err, ErrConflict) {
			t.Errorf("%v: %v", one, err)
		}
	}
	changed("not added", false)
	for _, c := range []struct{ name, namespace, want string }{
		{"", "", "1:ann/ann 2:ann/team 3:bob/team"}, {"ann", "", "1:ann/ann 2:ann/team"},
		{"", "team", "2:ann/team 3:bob/team"}, {"bob", "team", "3:bob/team"}, {"bob", "ann", ""}, {"a\x00b", "", ""},
	} {
		if list, err := s.Subjects(ctx, c.name, c.namespace); err != nil || names(list) != c.want {
			t.Errorf("%q, %q: %q, %v; want %q", c.name, c.namespace, names(list), err, c.want)
		}
	}
	if err := s.BlockSubjects(ctx, "ann", true); err != nil {
		t.Fatal(err)
	}
	changed("blocked", true)
	if err := s.BlockSubjects(ctx, "nobody", true); !errors.Is(err, ErrNotFound) {
		t.Errorf("blocking nobody: %v", err)
	}
	if list, err := s.Subjects(ctx, "", ""); err != nil || names(list) != "1:ann/ann! 2:ann/team! 3:bob/team" {
		t.Errorf("blocked: %s, %v", names(list), err)
	}
	if err := s.SetSubject(ctx, Subject{UUID: "4", Name: "ann", Namespace: "ann", KeyHash: []byte("new")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Subject(ctx, "1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the key that was replaced: %v", err)
	}
	got, err := s.Subject(ctx, "4")
	if err != nil || string(got.KeyHash) != "new" || got.Created == 0 {
		t.Errorf("the new key: %+v, %v", got, err)
	}
	version--
	changed("replaced", true)
	if err := s.RemoveSubject(ctx, "3"); err != nil {
		t.Fatal(err)
	}
	changed("removed", true)
	if err := s.RemoveSubject(ctx, "3"); !errors.Is(err, ErrNotFound) {
		t.Errorf("removing nobody: %v", err)
	}
}

// Of many who add the same at once, one does.
func TestOneSubjectIsAddedOnce(t *testing.T) { onEach(t, testOneSubjectIsAddedOnce) }

func testOneSubjectIsAddedOnce(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	var added atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			err := s.AddSubject(ctx, Subject{UUID: fmt.Sprint(i), Name: "ann", Namespace: "ann", KeyHash: []byte{1}})
			switch {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, ErrConflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if list, err := s.Subjects(ctx, "ann", ""); added.Load() != 1 || len(list) != 1 || err != nil {
		t.Errorf("%d were told so, %d are there, %v", added.Load(), len(list), err)
	}
}

func TestNamespaces(t *testing.T) { onEach(t, testNamespaces) }

func testNamespaces(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	if l, err := s.NamespaceLimits(ctx, "guest"); err != nil || l.StoreActivations != nil || l.FiresPerMinute != nil {
		t.Errorf("limits that were never set: %+v, %v", l, err)
	}
	zero, no := 0, false
	before, _ := s.AccessVersion(ctx)
	for range 2 {
		if err := s.SetNamespaceLimits(ctx, "guest", NamespaceLimits{InvocationsPerMinute: &zero, StoreActivations: &no, AllowedKinds: []string{"a", "b"}}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := s.NamespaceLimits(ctx, "guest")
	if err != nil || *l.InvocationsPerMinute != 0 || *l.StoreActivations || strings.Join(l.AllowedKinds, " ") != "a b" || l.MaxActionLogs != nil {
		t.Errorf("limits: %+v, %v", l, err)
	}
	if after, err := s.AccessVersion(ctx); after <= before || err != nil {
		t.Errorf("the version went from %d to %d, %v", before, after, err)
	}
	code := "code"
	mine := put(t, s, Entity{Key: Key{"guest", "", "a"}, Collection: Actions, Doc: []byte("{}")}, &code)
	put(t, s, Entity{Key: Key{"guest", "p", "a"}, Collection: Actions, Doc: []byte("{}")}, &code)
	put(t, s, Entity{Key: Key{"guest", "", "t"}, Collection: Triggers, Doc: []byte("{}")}, nil)
	others := put(t, s, Entity{Key: Key{"other", "", "a"}, Collection: Actions, Doc: []byte("{}")}, &code)
	for i := range 3 {
		if err := s.PutActivation(ctx, activation(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, namespace := range []string{"guest", "other"} {
		if err := s.PutAlarm(ctx, Alarm{Namespace: namespace, Trigger: "t", Doc: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutAPI(ctx, API{Namespace: namespace, BasePath: "/x", Doc: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := s.Holding(ctx, "guest")
	if err != nil || h.Activations != 3 || h.Entities[Actions] != 2 || h.Entities[Triggers] != 1 || h.Entities[Rules] != 0 {
		t.Errorf("holding: %+v, %v", h, err)
	}
	if err := s.ClearNamespace(ctx, "guest"); err != nil {
		t.Fatal(err)
	}
	if h, err = s.Holding(ctx, "guest"); err != nil || h.Activations != 0 || len(h.Entities) != 0 {
		t.Errorf("after clearing: %+v, %v", h, err)
	}
	if l, err := s.NamespaceLimits(ctx, "guest"); err != nil || l.InvocationsPerMinute != nil {
		t.Errorf("limits after clearing: %+v, %v", l, err)
	}
	if alarms, err := s.Alarms(ctx); err != nil || len(alarms) != 1 || alarms[0].Namespace != "other" {
		t.Errorf("alarms after clearing: %+v, %v", alarms, err)
	}
	for namespace, want := range map[string]int{"guest": 0, "other": 1} {
		if apis, err := s.APIs(ctx, namespace); err != nil || len(apis) != want {
			t.Errorf("API routes of %s after clearing: %+v, %v", namespace, apis, err)
		}
	}
	for _, e := range []Entity{mine, others} { // a run that was promised must still find the code
		if got, err := s.Code(ctx, e.CodeID); got != code || err != nil {
			t.Errorf("code of %v: %q, %v", e.Key, got, err)
		}
	}
	if _, err := s.Get(ctx, others.Key); err != nil {
		t.Errorf("another namespace's: %v", err)
	}
}

// A record that is not kept is nowhere, neither before nor after the others are written.
func TestUnkeptActivations(t *testing.T) { onEach(t, testUnkeptActivations) }

func testUnkeptActivations(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	for i := range 4 {
		a := activation(i)
		a.Unkept = i%2 == 0
		if err := s.PutActivation(ctx, a); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Activation(ctx, "guest", a.ID); errors.Is(err, ErrNotFound) != a.Unkept {
			t.Errorf("%d at once: %v", i, err)
		}
	}
	list, err := s.Activations(ctx, Filter{Namespace: "guest"})
	if err != nil || len(list) != 2 {
		t.Errorf("%d are there, %v", len(list), err)
	}
	if _, err := s.Activation(ctx, "guest", activation(0).ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("later: %v", err)
	}
	only := activation(8) // in a transaction of its own, which has nothing to write
	only.Unkept = true
	if err := s.PutActivation(ctx, only); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountActivations(ctx, Filter{Namespace: "guest"}); n != 2 || err != nil {
		t.Errorf("%d are counted, %v", n, err)
	}
}
