package controller

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// accepting returns a controller on a store of its own and a queue of that size.
func accepting(t *testing.T, queue int) (*Controller, *bus.Memory[*bus.Run], func() []store.Accepted) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.db")
	log := slog.New(slog.DiscardHandler)
	st, err := store.OpenSQLite(t.Context(), path, log)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := bus.NewRunCodec(make([]byte, bus.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	runs := bus.NewMemory[*bus.Run](bus.Bounds{Messages: queue, Bytes: 1 << 20})
	completed := bus.NewMemory[*bus.Completed](bus.Bounds{Messages: 10, Bytes: 1 << 20})
	c, err := New(Config{Name: "c", Limits: DefaultLimits(), Kinds: DefaultKinds(), Codec: codec}, st, runs, completed, log)
	if err != nil {
		t.Fatal(err)
	}
	left := func() []store.Accepted {
		t.Helper()
		c.Close(nil)
		st.Close()
		again, err := store.OpenSQLite(t.Context(), path, log)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if err := again.TakeOver(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := again.Left(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	t.Cleanup(func() { c.Close(nil); st.Close() })
	return c, runs, left
}

func runOf(id string) *bus.Run {
	return &bus.Run{ActivationID: id, Namespace: "guest", Args: []byte("{}"), Action: bus.Action{Namespace: "guest", Name: "a", CodeID: 3}}
}

// What is refused because the queue is full, or closed, is not in the journal either.
func TestWhatIsRefusedWasNotAccepted(t *testing.T) {
	c, runs, left := accepting(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a caller who has left changes nothing
	for _, id := range []string{"one", "two"} {
		if err := c.accept(ctx, runOf(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.accept(ctx, runOf("three")); !errors.Is(err, errOverloaded) {
		t.Errorf("a third run: %v", err)
	}
	runs.Close()
	if err := c.accept(ctx, runOf("four")); !errors.Is(err, errStopping) {
		t.Errorf("a run after the end: %v", err)
	}
	list := left()
	if len(list) != 2 || list[0].ID != "one" || list[1].ID != "two" || list[0].CodeID != 3 || list[0].Sent != 0 {
		t.Errorf("accepted: %+v", list)
	}
}

// A caller who stops waiting: the run was sent, or it was not and must be claimed from now on.
func TestAcceptedLate(t *testing.T) {
	c, _, left := accepting(t, 2)
	sent, waiting, over := runOf("sent"), runOf("waiting"), runOf("over")
	for _, run := range []*bus.Run{sent, waiting, over} {
		run.Sending, run.ReplyTo = new(bus.Sending), "c"
	}
	sent.Sending.Begin()
	act, err := (&store.Record{ID: "over", Namespace: "guest", Name: "a", Path: "a", Result: []byte("{}")}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.store.KeepActivation(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	for _, run := range []*bus.Run{sent, waiting, over} {
		if err := c.acceptLate(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	if !waiting.Sending.Begin() {
		t.Error("a run that is in the journal need not be claimed")
	}
	list := left()
	if len(list) != 2 || list[0].Sent == 0 || list[1].Sent != 0 {
		t.Fatalf("accepted: %+v", list)
	}
	run, err := c.cfg.Codec.Decode(list[1].Body)
	if err != nil || run.ReplyTo != "" || !run.Journaled {
		t.Errorf("the run: %+v, %v", run, err)
	}
}

// A promise is kept by the record, or told by a restart.
func TestPromise(t *testing.T) {
	c, _, left := accepting(t, 2)
	rec := func(id string) *store.Record {
		return &store.Record{ID: id, Namespace: "guest", Name: "seq", Path: "p/seq", Start: 7}
	}
	for _, id := range []string{"kept", "broken"} {
		if err := c.promise(t.Context(), rec(id)); err != nil {
			t.Fatal(err)
		}
	}
	kept := rec("kept")
	kept.Result = []byte("{}")
	act, err := kept.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.store.PutActivation(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	list := left()
	if len(list) != 1 || list[0].ID != "broken" || list[0].Kind != store.AcceptedRecord {
		t.Fatalf("promised: %+v", list)
	}
	if got, err := store.ReadDraft(list[0].Body); err != nil || got.Path != "p/seq" || got.Start != 7 {
		t.Errorf("the draft: %+v, %v", got, err)
	}
}

// A closed gate lets nobody in but what belongs to somebody inside, and waits for those.
func TestGate(t *testing.T) {
	c, _, _ := accepting(t, 2)
	if err := c.gate.enter(); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if n := c.Drain(ended); n != 1 || c.Callers() != 1 {
		t.Errorf("%d are inside, want 1", n)
	}
	var refused *Error
	for _, err := range []error{
		errorOf2(c.Invoke(t.Context(), Invocation{Action: Name{Namespace: "guest", Name: "a"}, Args: []byte("{}")})),
		errorOf1(c.Fire(t.Context(), Firing{Trigger: Name{Namespace: "guest", Name: "t"}, Args: []byte("{}")})),
	} {
		if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
			t.Errorf("a newcomer: %v", err)
		}
	}
	inner := errorOf2(c.invoke(t.Context(), Invocation{By: Identity{Namespace: "guest"}, Action: Name{Namespace: "guest", Name: "a"}, Args: []byte("{}")}))
	if !errors.As(inner, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("what belongs to somebody inside: %v", inner)
	}
	done := make(chan int)
	go func() { done <- c.Drain(t.Context()) }()
	select {
	case <-done:
		t.Fatal("it did not wait for the one inside")
	case <-time.After(20 * time.Millisecond):
	}
	c.gate.leave()
	if n := <-done; n != 0 {
		t.Errorf("%d are inside after the last has left", n)
	}
}

func errorOf1[T any](_ T, err error) error         { return err }
func errorOf2[T, U any](_ T, _ U, err error) error { return err }
