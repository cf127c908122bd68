package store

import (
	"errors"
	"testing"
)

func TestAPIs(t *testing.T) { onEach(t, testAPIs) }

func testAPIs(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	put := func(a API) API {
		t.Helper()
		a, err := s.PutAPI(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	world := put(API{Namespace: "guest", BasePath: "/world", Doc: []byte(`{"a":1}`)})
	hello := put(API{Namespace: "guest", BasePath: "/hello", Doc: []byte("{}")})
	put(API{Namespace: "other", BasePath: "/world", Doc: []byte("{}")})
	if _, err := s.PutAPI(ctx, API{Namespace: "guest", BasePath: "/world", Doc: []byte("{}")}); !errors.Is(err, ErrConflict) {
		t.Errorf("made twice: %v", err)
	}
	old := world
	world.Doc = []byte(`{"a":2}`)
	world = put(world)
	if _, err := s.PutAPI(ctx, old); !errors.Is(err, ErrConflict) {
		t.Errorf("writing over a newer revision: %v", err)
	}
	if err := s.DeleteAPI(ctx, old); !errors.Is(err, ErrConflict) {
		t.Errorf("removing a newer revision: %v", err)
	}
	list, err := s.APIs(ctx, "guest")
	if err != nil || len(list) != 2 || list[0].BasePath != "/hello" || string(list[1].Doc) != `{"a":2}` || list[1].Revision != world.Revision {
		t.Fatalf("%+v %v", list, err)
	}
	if err := s.DeleteAPI(ctx, world); err != nil {
		t.Error(err)
	}
	again := put(API{Namespace: "guest", BasePath: "/world", Doc: []byte("{}")})
	if _, err := s.PutAPI(ctx, world); !errors.Is(err, ErrConflict) || again.Revision <= hello.Revision {
		t.Errorf("a revision came again: %v, %+v", err, again)
	}
	if list, err := s.APIs(ctx, "nobody\x00"); err != nil || len(list) != 0 {
		t.Errorf("nobody: %v %v", list, err)
	}
}
