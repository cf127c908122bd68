package platform

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/invoker"
	"github.com/whiskaway/whiskaway/platform/store"
)

// one is a platform that runs one container at a time.
func one(c *Config) { c.Invoker.Memory = 256 }

// killed returns a directory with what is left when the platform is killed now. It must not write
// anything just now.
func (h *house) killed() string {
	h.t.Helper()
	dir := h.t.TempDir()
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-shm") { // the memory of who was killed
			continue
		}
		data, err := os.ReadFile(filepath.Join(h.dir, e.Name()))
		if err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	return dir
}

// accept invokes an action without waiting and returns the id.
func (h *house) accept(name, args string) string {
	h.t.Helper()
	return h.want(202, "POST", ns+"actions/"+name, args)["activationId"].(string)
}

// record waits for a record.
func (h *house) record(id string) (rec map[string]any) {
	h.t.Helper()
	eventually(h.t, "the record of "+id, func() bool {
		res := h.call("GET", ns+"activations/"+id, "")
		if res.status == 200 {
			rec = h.wantJSON(200, res)
		}
		return res.status == 200
	})
	return rec
}

func errorOf(rec map[string]any) string { return fmt.Sprint(at(rec, "response", "result", "error")) }

// held is an action that runs until its gate is removed, and notes each run.
func (h *house) held(name string) (notes, gate string) {
	h.t.Helper()
	dir := h.t.TempDir()
	notes, gate = filepath.Join(dir, "notes"), filepath.Join(dir, "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.action(name, "count="+notes+" until="+gate, "")
	return notes, gate
}

func linesOf(file string) int {
	data, _ := os.ReadFile(file)
	return strings.Count(string(data), "\n")
}

// What was sent gets a record that says what is known; what was not runs, in order, although the
// queue takes two at a time.
func TestARestartKeepsWhatWasPromised(t *testing.T) {
	h := open(t, t.TempDir(), one)
	notes, gate := h.held("slow")
	h.action("quick", "value", "")
	sent := h.accept("slow", "")
	eventually(t, "the slow run", func() bool { return exists(notes) })
	var ids []string
	for i := range 9 {
		ids = append(ids, h.accept("quick", fmt.Sprintf(`{"n" : %d.50}`, i)))
	}
	waited := h.want(202, "POST", ns+"actions/quick?blocking=true&timeout=100", `{"waited":true}`)["activationId"].(string)
	again := open(t, h.killed(), func(c *Config) {
		one(c)
		c.Invoker.InFlight = 1 // more would race for the one container
		c.Queue = bus.Bounds{Messages: 2, Bytes: 1 << 20}
	})
	if got := errorOf(again.record(sent)); !strings.Contains(got, "was killed while the action ran") {
		t.Errorf("what was sent says %q", got)
	}
	last := 0.0
	for i, id := range ids {
		rec := again.record(id)
		if got := fmt.Sprint(at(rec, "response", "result", "n")); got != fmt.Sprintf("%d.50", i) {
			t.Errorf("run %d came to %s", i, got)
		}
		start := number(t, at(rec, "start"))
		if start < last {
			t.Errorf("run %d began before the one that was accepted before it", i)
		}
		last = start
	}
	if rec := again.record(waited); at(rec, "response", "result", "waited") != true {
		t.Errorf("the run whose caller waited long enough: %v", rec)
	}
	eventually(t, "an empty journal", func() bool {
		left, err := again.p.store.Left(t.Context(), 0, 10)
		return err == nil && len(left) == 0
	})
	os.Remove(gate)
}

func number(t *testing.T, v any) (f float64) {
	t.Helper()
	if _, err := fmt.Sscan(fmt.Sprint(v), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// A blocking call whose wait ended while its action ran is not run again.
func TestAlwaysTrue1ARunWhoseCallerLeftIsNotRepeated(t *testing.T) {
	h := open(t, t.TempDir(), one)
	notes, gate := h.held("slow")
	id := h.want(202, "POST", ns+"actions/slow?blocking=true&timeout=100", "")["activationId"].(string)
	if linesOf(notes) != 1 {
		t.Skip("the container took longer to start than the caller waited")
	}
	again := open(t, h.killed(), one)
	if got := errorOf(again.record(id)); !strings.Contains(got, "was killed while the action ran") {
		t.Errorf("the record says %q", got)
	}
	os.Remove(gate)
	again.invoke(200, "slow", "")
	if n := linesOf(notes); n != 2 {
		t.Errorf("the action ran %d times, want 2: once before, once now", n)
	}
	if rec := h.record(id); at(rec, "response", "success") != true {
		t.Errorf("without a kill: %v", rec)
	}
}

// What a restart gives an action as API key is what the caller had; without the secret nothing
// runs with a wrong one.
func TestARestartKnowsTheKeys(t *testing.T) {
	h := open(t, t.TempDir(), one)
	_, gate := h.held("slow")
	h.want(200, "PUT", ns+"actions/keyed", `{"exec":{"kind":"python:3","code":"x"},"annotations":[{"key":"provide-api-key","value":true}]}`)
	h.accept("slow", "")
	id := h.accept("keyed", "")
	for _, name := range []string{"platform.db", "platform.db-wal"} {
		data, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), h.auth[1]) {
			t.Errorf("the API key is in %s in clear", name)
		}
	}
	dir, other := h.killed(), h.killed()
	os.Remove(gate)
	rec := open(t, dir, one).record(id)
	if got := at(rec, "response", "result", "run", "api_key"); got != h.auth[0]+":"+h.auth[1] {
		t.Errorf("the run was given the key %v", got)
	}
	if err := os.Remove(filepath.Join(other, secretFile)); err != nil {
		t.Fatal(err)
	}
	if got := errorOf(open(t, other, one).record(id)); !strings.Contains(got, secretFile) {
		t.Errorf("without the secret: %q", got)
	}
	if err := os.WriteFile(filepath.Join(other, secretFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Dir: other, Driver: noDriver{}})
	if err == nil || !strings.Contains(err.Error(), "put a copy back") {
		t.Errorf("with half a secret: %v", err)
	}
}

type noDriver struct{ invoker.Driver }

// An activation that lived in the process that was killed says so. An entry that cannot be
// read harms nobody, and stays.
func TestARestartEndsWhatCannotGoOn(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	rec := &store.Record{
		ID: "0123456789abcdef0123456789abcdef", Name: "seq", Path: "seq", Namespace: "guest", Subject: "guest", Version: "0.0.1",
		Start: time.Now().UnixMilli(), Annotations: []store.Annotation{{Key: "kind", Value: "sequence"}}, Logs: []string{"a part"},
	}
	body, err := rec.Draft()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []store.Accepted{
		{ID: rec.ID, Kind: store.AcceptedRecord, Body: body},
		{ID: "odd-kind", Kind: "odd", Body: body},
		{ID: "odd-run", Kind: store.AcceptedRun, Body: []byte("odd")},
		{ID: "odd-sent", Kind: store.AcceptedRun, Sent: 1, Body: []byte("odd")},
		{ID: "odd-record", Kind: store.AcceptedRecord, Body: []byte("odd")},
	} {
		if err := h.p.store.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, h.killed(), nil)
	got := again.record(rec.ID)
	if !strings.Contains(errorOf(got), "killed before the activation ended") || annotation(got, "kind") != "sequence" ||
		at(got, "response", "status") != "whisk internal error" || len(logsOf(got)) != 1 || at(got, "end") == nil {
		t.Errorf("the record: %v", got)
	}
	left, err := again.p.store.Left(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, a := range left {
		if strings.HasPrefix(a.ID, "odd") {
			kept++
		}
	}
	if kept != 4 {
		t.Errorf("of four odd entries %d are left", kept)
	}
	again.action("a", "x", "")
	again.invoke(200, "a", "")
}

// While a platform stops, what is accepted and not sent is left to the next one: also what was
// about to get its container.
func TestAStopLeavesTheQueueToTheNextStart(t *testing.T) {
	h := open(t, t.TempDir(), one)
	notes, gate := h.held("slow")
	answer := make(chan map[string]any, 1)
	go func() { answer <- h.wantJSON(200, h.call("POST", ns+"actions/slow?blocking=true", "")) }()
	eventually(t, "the slow run", func() bool { return exists(notes) })
	h.action("quick", "value", "")
	var ids []string
	for i := range 5 {
		ids = append(ids, h.accept("quick", fmt.Sprintf(`{"n":%d}`, i)))
	}
	closed := make(chan error, 1)
	go func() { closed <- h.p.Close(context.Background()) }()
	eventually(t, "a refusal", func() bool { return h.call("POST", ns+"actions/quick", "").status == 503 })
	os.Remove(gate)
	if rec := <-answer; at(rec, "response", "success") != true {
		t.Errorf("who waited got %v", rec)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	again := open(t, h.dir, one)
	for i, id := range ids {
		if got := fmt.Sprint(at(again.record(id), "response", "result", "n")); got != fmt.Sprint(i) {
			t.Errorf("run %d came to %s", i, got)
		}
	}
}

// Two invokers share a topic and a store; one ends in the middle. No run is lost, and none
// is run twice.
func TestAlwaysTrue1TwoInvokersShareATopic(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	notes := filepath.Join(t.TempDir(), "notes")
	h.action("noted", "count="+notes+" sleep=1", "")
	h.invoke(200, "noted", "") // so that its action can be copied
	key := store.Key{Namespace: "guest", Name: "noted"}
	e, err := h.p.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	runs := bus.NewMemory[*bus.Run](bus.Bounds{Messages: 1000, Bytes: 1 << 30})
	replies := func(string) bus.Topic[*bus.Completed] { return h.p.completed }
	var both [2]*invoker.Invoker
	for i := range both {
		both[i], err = invoker.New(invoker.Config{Memory: 512, InFlight: 20}, h.p.cfg.Driver, h.p.store, runs, replies, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
	}
	const all = 300
	var publishing sync.WaitGroup
	for i := range all {
		run := &bus.Run{
			ActivationID: fmt.Sprintf("%032d", i), Namespace: "guest", Subject: "guest", Args: []byte("{}"),
			Accepted: time.Now().UnixMicro(), Journaled: i%2 == 0,
			Action: bus.Action{
				Namespace: "guest", Name: "noted", Version: "0.0.1", Revision: e.Revision, CodeID: e.CodeID, Kind: "python:3", Main: "main",
				Limits: bus.Limits{Timeout: 60000, Memory: 256, Logs: 1, Concurrency: 1},
			},
		}
		publishing.Go(func() {
			if run.Journaled {
				if err := h.p.store.Accept(t.Context(), store.Accepted{ID: run.ActivationID, Kind: store.AcceptedRun, Body: []byte("x")}); err != nil {
					t.Error(err)
				}
			}
			for range 1 + i%4/2 { // some come twice, as from a broker that lost an acknowledgement
				if err := runs.Publish(t.Context(), run.Message()); err != nil {
					t.Error(err)
				}
				if !run.Journaled {
					return
				}
			}
		})
	}
	publishing.Wait()
	eventually(t, "the middle", func() bool { return linesOf(notes) > all/3 })
	if err := both[0].Close(t.Context()); err != nil {
		t.Error(err)
	}
	for i := range all {
		id := fmt.Sprintf("%032d", i)
		eventually(t, "the record of "+id, func() bool {
			a, err := h.p.store.Activation(t.Context(), "guest", id)
			return err == nil && a.Status == store.StatusSuccess
		})
	}
	if err := both[1].Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := linesOf(notes) - 1; n != all {
		t.Errorf("%d runs, want %d", n, all)
	}
}
