package store

import (
	"testing"
	"time"
)

// Old records go, of whatever namespace; young ones stay; and a writer that comes
// meanwhile is served before the last of many is removed.
func TestOldActivationsAreRemoved(t *testing.T) { onEach(t, testOldActivationsAreRemoved) }

func testOldActivationsAreRemoved(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	now := time.Now()
	const old, young = 10 * removeAtOnce, 5
	for i := range old + young {
		a := activation(i)
		a.Start = now.Add(-time.Hour).UnixMilli() - int64(i)
		if i >= old {
			a.Start = now.UnixMilli() - 1000
		}
		if i%3 == 0 {
			a.Namespace = "other"
		}
		if err := s.PutActivation(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	for _, namespace := range []string{"guest", "other"} {
		if err := s.writer.flush(ctx, namespace); err != nil {
			t.Fatal(err)
		}
	}
	all := func() int {
		n, err := s.reader().count(ctx, " FROM activations")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := all(); n != old+young {
		t.Fatalf("%d records to begin with", n)
	}
	s.KeepActivations(30 * time.Minute)
	put(t, s, Entity{Key: Key{"guest", "", "meanwhile"}, Collection: Triggers, Doc: []byte("{}")}, nil)
	if n := all(); n <= young {
		t.Errorf("the writer waited until only %d records were left", n)
	}
	eventually(t, "the old records are gone", func() bool { return all() == young })
	if n, err := s.CountActivations(ctx, Filter{Namespace: "guest"}); err != nil || n != 3 {
		t.Errorf("%d young ones left, %v", n, err)
	}
	if _, err := s.Activation(ctx, "other", activation(0).ID); err == nil {
		t.Error("a record that was removed can be read")
	}
}

// What grows old later is removed later, and the store's end waits for it.
func TestActivationsAreRemovedWhenTheyGrowOld(t *testing.T) {
	s, ctx := newFile(t).open(t), t.Context()
	s.KeepActivations(2 * time.Second)
	a := activation(1)
	a.Start = time.Now().UnixMilli()
	if err := s.PutActivation(ctx, a); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountActivations(ctx, Filter{Namespace: "guest"}); err != nil || n != 1 {
		t.Fatalf("%d records, %v", n, err)
	}
	eventually(t, "it is removed", func() bool {
		n, err := s.CountActivations(ctx, Filter{Namespace: "guest"})
		return err == nil && n == 0
	})
	if time.Since(time.UnixMilli(a.Start)) < 2*time.Second {
		t.Error("it was removed too early")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
