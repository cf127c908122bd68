package controller

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A deaf store cannot be asked any more whether users or limits changed, as when its database is away.
type deaf struct {
	store.Store
	is    atomic.Bool
	takes time.Duration // to find out
}

func (d *deaf) AccessVersion(ctx context.Context) (int64, error) {
	if d.is.Load() {
		time.Sleep(d.takes)
		return 0, store.ErrUnreachable
	}
	return d.Store.AccessVersion(ctx)
}

// deafen lets r's store be deaf from now on: what is remembered is not believed any more.
func (r *room) deafen() {
	d := &deaf{Store: r.store}
	d.is.Store(true)
	r.access.mu.Lock()
	defer r.access.mu.Unlock()
	r.access.store, r.access.checked = d, time.Time{}
}

// activation waits for a record.
func (r *room) activation(id string) *store.Activation {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		act, err := r.store.Activation(r.t.Context(), "guest", id)
		if err == nil {
			return act
		}
		if time.Now().After(end) {
			r.t.Fatalf("the record of %s: %v", id, err)
		}
	}
}

// However many ask at the same time, all are told as soon as one was.
func TestManyAskWhileTheDatabaseIsAway(t *testing.T) {
	d := &deaf{takes: 100 * time.Millisecond}
	d.is.Store(true)
	a := access{store: d, changed: func() {}}
	var all sync.WaitGroup
	began := time.Now()
	for range 100 {
		all.Go(func() {
			if err := a.fresh(t.Context()); !errors.Is(err, store.ErrUnreachable) {
				t.Errorf("told: %v", err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the last was told after %v", took)
	}
}

// What a composition came to is kept also when the namespace's limits cannot be read in the end.
func TestACompositionHasItsRecordWhileTheDatabaseIsAway(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	r := newRoom(t, func(*bus.Run) (string, bool) {
		close(began)
		<-release
		return `{"n":1}`, true
	})
	r.put("a", `{"exec":{"kind":"python:3","code":"x"}}`)
	r.put("s", `{"exec":{"kind":"sequence","components":["/_/a"]}}`)
	id, _, err := r.invoke("s", 0)
	if err != nil {
		t.Fatal(err)
	}
	<-began
	r.deafen()
	close(release)
	if act := r.activation(id); act.Status != store.StatusSuccess {
		t.Errorf("the record: %s", act.Document())
	}
}

// While nobody knows whether a run's key is good, it is not said to be bad.
func TestARunKeyIsNotBadWhileTheDatabaseIsAway(t *testing.T) {
	r := newRoom(t, func(*bus.Run) (string, bool) { return "{}", true })
	if err := r.store.AddSubject(t.Context(), store.Subject{UUID: "u", Name: "guest", Namespace: "guest", KeyHash: HashKey("k")}); err != nil {
		t.Fatal(err)
	}
	key, err := r.keyFor(t.Context(), r.guest, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	uuid, secret, _ := strings.Cut(key, ":")
	if id, err := r.Authenticate(t.Context(), uuid, secret); err != nil || id.Namespace != "guest" {
		t.Fatalf("%+v, %v", id, err)
	}
	r.deafen()
	if _, err := r.Authenticate(t.Context(), uuid, secret); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("while the database is away: %v", err)
	}
}

// A run that goes on after a restart, and one that a run with such a key begins, gets a key for its own time.
func TestRunKeysAreRenewed(t *testing.T) {
	r := newRoom(t, func(*bus.Run) (string, bool) { return "{}", true })
	sub := store.Subject{UUID: "u", Name: "guest", Namespace: "guest", KeyHash: HashKey("k")}
	if err := r.store.AddSubject(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	old, err := r.runKeys.mint(r.guest, keyMark(sub), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	run := &bus.Run{Namespace: "guest", Subject: "guest", APIKey: old, Action: bus.Action{Limits: bus.Limits{Timeout: 60_000}}}
	if err := r.RenewKey(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	inner, err := r.keyFor(t.Context(), Identity{Subject: "guest", Namespace: "guest", Key: old}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for key, after := range map[string]time.Duration{run.APIKey: time.Minute, inner: time.Hour} {
		_, secret, _ := strings.Cut(key, ":")
		if id, of, ok := r.runKeys.identity(secret, time.Now().Add(after)); !ok || id.Namespace != "guest" || of != keyMark(sub) {
			t.Errorf("after %v: %+v, %v", after, id, ok)
		}
	}
	run.APIKey = "0123:own"
	if err := r.RenewKey(t.Context(), run); err != nil || run.APIKey != "0123:own" {
		t.Errorf("a caller's own key became %q, %v", run.APIKey, err)
	}
	own := Identity{Subject: "guest", Namespace: "guest", Key: "0123:own"}
	if key, err := r.keyFor(t.Context(), own, time.Hour); err != nil || key != own.Key {
		t.Errorf("a caller's own key became %q, %v", key, err)
	}
}

// What is over runs nowhere: neither by its web URL nor as a part of a sequence.
func TestDeprecatedKindsRunNowhere(t *testing.T) {
	r := newRoom(t, func(*bus.Run) (string, bool) { return "{}", true })
	if err := r.store.AddSubject(t.Context(), store.Subject{UUID: "u", Name: "guest", Namespace: "guest", KeyHash: HashKey("k")}); err != nil {
		t.Fatal(err)
	}
	r.put("old", `{"exec":{"kind":"python:3","code":"x"},"annotations":[{"key":"web-export","value":true}]}`)
	r.put("s", `{"exec":{"kind":"sequence","components":["/_/old"]}}`)
	web, err := r.WebAction(t.Context(), Name{Namespace: "guest", Name: "old"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "The 'python:3' runtime is no longer supported."
	in := Invocation{Args: json.RawMessage("{}"), Wait: time.Minute}
	if _, done, err := r.InvokeWeb(t.Context(), web, in); err != nil || done == nil {
		t.Fatalf("before: %v, %v", done, err)
	}
	r.cfg.Kinds[0].Deprecated = true
	if _, _, err := r.InvokeWeb(t.Context(), web, in); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("as a web action: %v", err)
	}
	if _, _, err := r.invoke("old", time.Minute); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("by its name: %v", err)
	}
	if _, done, err := r.invoke("s", time.Minute); err != nil || done == nil || !strings.Contains(string(done.Result), want) {
		t.Errorf("in a sequence: %+v, %v", done, err)
	}
}

// The record of a platform's own action that was answered 202 is on the disk before that answer, and says what any
// other's says.
func TestRecordsOfBuiltins(t *testing.T) {
	c, _, _ := accepting(t, 2)
	path := filepath.Join(t.TempDir(), "platform.db")
	open := func() *store.Database {
		st, err := store.OpenSQLite(t.Context(), path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	c.store = open()
	c.access.store = c.store
	p := SystemPackage{Name: "tools", Actions: []SystemAction{{Name: "it", Run: func(context.Context, BuiltinCall) (any, error) {
		return map[string]int{"n": 1}, nil
	}}}}
	if err := c.Install(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	guest := Identity{Subject: "guest", Namespace: "guest"}
	if _, err := c.PutPackage(t.Context(), guest, Name{Namespace: "guest", Name: "mine"}, PutPackage{Binding: Binding{SystemNamespace, "tools"}}, false); err != nil {
		t.Fatal(err)
	}
	id, done, err := c.Invoke(t.Context(), Invocation{By: guest, Action: Name{Namespace: "guest", Package: "mine", Name: "it"}, Args: json.RawMessage("{}")})
	if err != nil || done != nil {
		t.Fatal(done, err)
	}
	act, err := open().Activation(t.Context(), "guest", id) // as another process finds it
	if err != nil {
		t.Fatal(err)
	}
	if text := string(act.Document()); act.Path != "mine/it" || !strings.Contains(text, `{"key":"binding","value":"guest/mine"}`) {
		t.Errorf("path %s: %s", act.Path, text)
	}
}
