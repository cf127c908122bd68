package openserverless

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/test/fakeopenserverless"
)

// What may have run is told by a Summary, and never by an error.
func TestRunsThatMayHaveStarted(t *testing.T) {
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		outcome function.Outcome
		text    string
	}{
		"died": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"command exited"}`)
		}, function.OutcomeCrashed, "command exited"},
		"no object": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			io.WriteString(w, `{"error":"did not return"}`)
		}, function.OutcomeCrashed, "did not return"},
		"a proxy":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); io.WriteString(w, `<html>`) }, function.OutcomeLost, "502"},
		"busy proxy": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, function.OutcomeLost, "503"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, function.OutcomeLost, "307"},
		"not JSON":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `oh`) }, function.OutcomeLost, "not a JSON object"},
		"empty":       {func(http.ResponseWriter, *http.Request) {}, function.OutcomeLost, "not a JSON object"},
		"no response": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"out":""}`) }, function.OutcomeLost, "no response"},
		"odd logs":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"response":{},"out":7}`) }, function.OutcomeLost, "not a text"},
		"cut":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, function.OutcomeLost, "may have started"},
		"cut answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"response":{}`)
		}, function.OutcomeLost, "may have started"},
	} {
		t.Run(name, func(t *testing.T) {
			var runs atomic.Int32
			s := &fakeopenserverless.Server{Run: echo}
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/run" {
					s.ServeHTTP(w, r)
					return
				}
				runs.Add(1)
				io.Copy(io.Discard, r.Body)
				c.answer(w, r)
			}))
			defer h.Close()
			client := newTestClient(t, h.URL)
			id := ready(t, client, specOf("x"), "x", "l")
			f, sum, err := runOn(client, t.Context(), id, "l", "{}", 0)
			if err != nil || sum.Outcome != c.outcome || !strings.Contains(sum.Error, c.text) || f != (frames{}) || runs.Load() != 1 {
				t.Errorf("%v %+v %q, sent %d times", err, sum, f, runs.Load())
			}
		})
	}
}

// slow is a handler whose runs wait until their client has left.
func slow(begun chan<- struct{}, left chan<- struct{}) http.HandlerFunc {
	s := &fakeopenserverless.Server{Run: echo}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/run" {
			s.ServeHTTP(w, r)
			return
		}
		io.Copy(io.Discard, r.Body)
		close(begun)
		<-r.Context().Done()
		close(left)
	}
}

func TestTimeLimitAndCancelEndTheConnection(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		begun, left := make(chan struct{}), make(chan struct{})
		h := httptest.NewServer(slow(begun, left))
		c := newTestClient(t, h.URL)
		id := ready(t, c, specOf("x"), "x", "l")
		ctx, cancel := context.WithCancel(t.Context())
		limit, want := 20*time.Millisecond, function.OutcomeTimeout
		var wg sync.WaitGroup
		if cancelled {
			limit, want = 0, function.OutcomeCancelled
			wg.Go(func() { <-begun; cancel() })
		}
		_, sum, err := runOn(c, ctx, id, "l", "{}", limit)
		if err == nil && sum.Outcome != want || err != nil && function.CodeOf(err) != function.CodeTimeout {
			t.Errorf("cancelled %v: %v %+v", cancelled, err, sum)
		}
		wg.Wait()
		if cancelled {
			<-left
		}
		cancel()
		h.Close()
	}
}

func TestRunsThatCertainlyNeverStarted(t *testing.T) {
	c, h := fakeServer(t, &fakeopenserverless.Server{Run: echo})
	id := ready(t, c, specOf("x"), "x", "l")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := runOn(c, ended, id, "l", "{}", 0); function.CodeOf(err) != function.CodeCancelled {
		t.Errorf("a caller who has left: %v", err)
	}
	if _, _, err := runOn(c, t.Context(), id, "l", "{}", -1); function.CodeOf(err) != function.CodeTimeout {
		t.Errorf("a time limit that is over: %v", err)
	}
	for _, body := range []string{"", "[]", "{", "7"} {
		if _, _, err := runOn(c, t.Context(), id, "l", body, 0); function.CodeOf(err) != function.CodeBadRequest {
			t.Errorf("the body %q: %v", body, err)
		}
	}
	h.Close()
	if _, _, err := runOn(c, t.Context(), id, "l", "{}", 0); function.CodeOf(err) != function.CodeUnreachable {
		t.Errorf("a server that is away: %v", err)
	}
}
