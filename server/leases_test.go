package server_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/server"
)

func shortGrace(c *server.Config) { c.LeaseGrace = 10 * time.Millisecond }

func TestALeaseThatIsOverTakesTheFunctionAlong(t *testing.T) {
	for name, end := range map[string]func(h *host, id function.ID, c function.Claim){
		"stop": func(h *host, id function.ID, c function.Claim) {
			if err := h.Stop(h.t.Context(), id, c); err != nil {
				h.t.Error(err)
			}
		},
		"expiry": func(h *host, id function.ID, c function.Claim) {
			if err := h.Renew(h.t.Context(), id, c, time.Nanosecond); err != nil { // as short as it can be
				h.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, shortGrace)
			id := h.init(python(nil))
			claim := h.claim[id]
			h.run(id, `{}`)
			end(h, id, claim)
			h.status("no function", func(s function.Status) bool { return len(s.Functions) == 0 && s.Servers[0].Workers == 0 })
			eventually(t, "the directory goes", h.noFunctionDirs)
			_, _, err := h.try(t.Context(), id, `{}`, patience)
			wantCode(t, err, function.CodeUnknownFunction)
			wantCode(t, h.Renew(t.Context(), id, claim, time.Minute), function.CodeUnknownFunction)
			if err := h.Stop(t.Context(), id, claim); err != nil {
				t.Errorf("stopping what is gone: %v", err)
			}
			h.run(h.init(python(nil)), `{}`)
		})
	}
}

func TestTheFunctionStaysForTheOtherLeases(t *testing.T) {
	h := open(t, shortGrace)
	id := h.init(python(nil))
	mine := h.claim[id]
	h.init(python(nil))
	first, _ := h.run(id, `{}`)
	if err := h.Stop(t.Context(), id, mine); err != nil {
		t.Fatal(err)
	}
	if again, _ := h.run(id, `{}`); again.Token != first.Token {
		t.Error("another process")
	}
	_, err := h.Run(t.Context(), id, mine, activation(`{}`, patience), function.OutputFunc(func(function.Stream, []byte) error { return nil }))
	wantCode(t, err, function.CodeUnknownFunction)
}

func TestAlwaysTrue8ARunOutlivesItsLease(t *testing.T) {
	h := open(t, shortGrace)
	id, gate, ended := busy(t, h)
	if err := h.Stop(t.Context(), id, h.claim[id]); err != nil {
		t.Fatal(err)
	}
	h.status("no lease, but the run", func(s function.Status) bool {
		return len(s.Functions) == 1 && s.Functions[0].Leases == 0 && s.Functions[0].Running == 1
	})
	touch(t, gate)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	h.status("no function", func(s function.Status) bool { return len(s.Functions) == 0 })
	eventually(t, "the directory goes", h.noFunctionDirs)
}

func TestAlwaysTrue9StrangersLearnNothing(t *testing.T) {
	h := open(t)
	id := h.init(python(nil))
	mine := h.claim[id]
	silent := function.OutputFunc(func(function.Stream, []byte) error { t.Error("output for a stranger"); return nil })
	began := filepath.Join(t.TempDir(), "began")
	var texts []string
	for _, c := range []struct {
		id    function.ID
		claim function.Claim
	}{
		{id, function.Claim{Lease: mine.Lease, Namespace: "thief"}},
		{id, function.Claim{Lease: "guessed", Namespace: "guest"}},
		{id, function.Claim{Lease: "guessed"}},
		{function.ID{1}, function.Claim{Lease: mine.Lease}},
	} {
		_, err := h.Run(t.Context(), c.id, c.claim, activation(`{"began":"`+began+`"}`, patience), silent)
		texts = append(texts, wantCode(t, err, function.CodeUnknownFunction).Message)
		err = h.Renew(t.Context(), c.id, c.claim, time.Hour)
		texts = append(texts, wantCode(t, err, function.CodeUnknownFunction).Message)
		if err := h.Stop(t.Context(), c.id, c.claim); err != nil {
			t.Error(err)
		}
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("the answers differ: %q", texts)
		}
	}
	_, err := h.Init(t.Context(), python(func(s *function.Spec) { s.Namespace = "thief" }), function.Lease{ID: "x"})
	wantCode(t, err, function.CodeCodeMissing)
	h.run(id, `{}`) // nobody could stop it
}
