package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A room is a real controller over a real store and a real bus. Of the platform only the
// invoker is fake: answer says what each run comes to.
type room struct {
	*Controller
	t         *testing.T
	store     store.Store
	runs      *bus.Memory[*bus.Run]
	completed *bus.Memory[*bus.Completed]
	invoker   sync.WaitGroup
	guest     Identity
}

func newRoom(t *testing.T, answer func(*bus.Run) (result string, ok bool)) *room {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "platform.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	bounds := bus.Bounds{Messages: 1000, Bytes: 64 << 20}
	r := &room{t: t, store: st, runs: bus.NewMemory[*bus.Run](bounds), completed: bus.NewMemory[*bus.Completed](bounds), guest: Identity{Subject: "guest", Namespace: "guest"}}
	codec, err := bus.NewRunCodec(make([]byte, bus.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	r.Controller, err = New(Config{Name: "c", Limits: DefaultLimits(), Kinds: DefaultKinds(), Codec: codec}, st, r.runs, r.completed, log)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := r.runs.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	r.invoker.Go(func() {
		for {
			d, err := sub.Receive(context.Background())
			if err != nil {
				return
			}
			d.Ack(context.Background())
			if result, ok := answer(d.Body); ok {
				r.completed.Publish(context.Background(), bus.Message[*bus.Completed]{Body: &bus.Completed{
					ActivationID: d.Body.ActivationID, Head: []byte("{}"), Response: []byte("{}"), Result: []byte(result), Logs: []byte("[]"), Duration: 2,
				}})
			}
		}
	})
	t.Cleanup(func() {
		r.end()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// end ends the controller as the platform does.
func (r *room) end() {
	r.runs.Close()
	r.invoker.Wait()
	if err := r.Close(r.completed.Close()); err != nil {
		r.t.Error(err)
	}
}

func (r *room) put(name string, body string) {
	r.t.Helper()
	var put PutAction
	if err := json.Unmarshal([]byte(body), &put); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.PutAction(r.t.Context(), r.guest, Name{Namespace: "guest", Name: name}, put, true); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) invoke(name string, wait time.Duration) (string, *bus.Completed, error) {
	return r.Invoke(r.t.Context(), Invocation{By: r.guest, Action: Name{Namespace: "guest", Name: name}, Args: json.RawMessage("{}"), Wait: wait})
}

// Two that invoke each other, each in the other's loop, would go on for ages.
func TestACompositionCausesABoundedNumberOfActivations(t *testing.T) {
	var mu sync.Mutex
	runs := 0
	r := newRoom(t, func(*bus.Run) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		runs++
		return `{"action":"sequence"}`, true
	})
	r.compositions.maxCaused = 500
	r.put("conductor", `{"exec":{"kind":"python:3","code":"x"},"annotations":[{"key":"conductor","value":true}]}`)
	r.put("sequence", `{"exec":{"kind":"sequence","components":["/_/conductor"]}}`)
	_, done, err := r.invoke("sequence", time.Minute)
	if err != nil || done == nil || done.Status != store.StatusApplicationError || string(done.Result) != `{"error":"Too many actions in the composition."}` {
		t.Fatalf("%+v, %v", done, err)
	}
	if runs != 500 {
		t.Errorf("%d runs, want 500", runs)
	}
}

func TestCompositionsAreBoundedInNumber(t *testing.T) {
	held, release := context.WithCancel(t.Context())
	defer release()
	r := newRoom(t, func(*bus.Run) (string, bool) {
		<-held.Done()
		return `{}`, true
	})
	r.compositions.max = 2
	r.put("a", `{"exec":{"kind":"python:3","code":"x"}}`)
	r.put("s", `{"exec":{"kind":"sequence","components":["/_/a"]}}`)
	for i := range 3 {
		if _, _, err := r.invoke("s", 0); errors.Is(err, errOverloaded) != (i == 2) {
			t.Errorf("number %d: %v", i, err)
		}
	}
}

// When the platform stops, a composition that waits for a part ends with a record that says so,
// and whoever waits for it is told.
func TestTheEndOfThePlatformEndsCompositions(t *testing.T) {
	for name, body := range map[string]string{
		"sequence":  `{"exec":{"kind":"sequence","components":["/_/a","/_/a"]}}`,
		"conductor": `{"exec":{"kind":"python:3","code":"x"},"annotations":[{"key":"conductor","value":true}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan struct{}, 1)
			r := newRoom(t, func(*bus.Run) (string, bool) {
				sent <- struct{}{}
				return "", false
			})
			r.put("a", `{"exec":{"kind":"python:3","code":"x"}}`)
			r.put("it", body)
			type answer struct {
				id   string
				done *bus.Completed
			}
			got := make(chan answer, 1)
			go func() {
				id, done, err := r.invoke("it", time.Minute)
				if err != nil {
					t.Error(err)
				}
				got <- answer{id, done}
			}()
			<-sent
			r.end()
			told := <-got
			if told.done == nil || told.done.Status != store.StatusWhiskError || !strings.Contains(string(told.done.Result), "The platform was stopped") {
				t.Errorf("told: %+v", told.done)
			}
			act, err := r.store.Activation(t.Context(), "guest", told.id)
			if err != nil || act.Status != store.StatusWhiskError {
				t.Errorf("the record: %+v, %v", act, err)
			}
			if _, _, err := r.invoke("it", 0); !errors.Is(err, errStopping) {
				t.Errorf("one more: %v", err)
			}
		})
	}
}

// A queue that is full for a moment ends no composition that has begun.
func TestAPartWaitsForRoomInTheQueue(t *testing.T) {
	first := make(chan struct{})
	held, release := context.WithCancel(t.Context())
	r := newRoom(t, func(run *bus.Run) (string, bool) {
		if run.CausedBy != "" {
			return `{"n":1}`, true
		}
		select {
		case first <- struct{}{}:
			<-held.Done()
		default:
		}
		return `{}`, true
	})
	r.put("a", `{"exec":{"kind":"python:3","code":"x"}}`)
	r.put("s", `{"exec":{"kind":"sequence","components":["/_/a"]}}`)
	if _, _, err := r.invoke("a", 0); err != nil {
		t.Fatal(err)
	}
	<-first // the invoker is busy
	for {
		if _, _, err := r.invoke("a", 0); errors.Is(err, errOverloaded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	id, _, err := r.invoke("s", 0)
	if err != nil {
		t.Fatal(err)
	}
	release()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		act, err := r.store.Activation(t.Context(), "guest", id)
		if err == nil {
			if got := string(act.Response); got != `{"result":{"n":1},"status":"success","success":true}` {
				t.Errorf("the sequence came to %s", got)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal(fmt.Errorf("no record: %w", err))
		}
	}
}
