package wire

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A drainableHost is a fakeHost with a number of turns to wait until it is empty.
type drainableHost struct {
	fakeHost
	asked chan struct{} // gets an entry for each call
	empty chan struct{} // closed when no run is left
}

func (h *drainableHost) ID() string { return "id-1" }

func (h *drainableHost) Drain(ctx context.Context) error {
	h.asked <- struct{}{}
	select {
	case <-h.empty:
		return nil
	case <-ctx.Done():
		return function.AsError(ctx.Err())
	}
}

func TestDrainWaitsUntilAFakeHostIsEmpty(t *testing.T) {
	noLeaks(t)
	host := &drainableHost{asked: make(chan struct{}, 10), empty: make(chan struct{})}
	c, _ := serveHost(t, host)
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(t.Context()) }()
	within(t, host.asked, "the question")
	select {
	case err := <-drained:
		t.Fatalf("drained while a run was under way: %v", err)
	default:
	}
	close(host.empty)
	if err := within(t, drained, "the answer"); err != nil {
		t.Error(err)
	}
	if err := c.DrainServer(t.Context(), "id-1"); err != nil {
		t.Errorf("once more, by its id: %v", err)
	}
	if err := c.DrainServer(t.Context(), "id-2"); function.CodeOf(err) != function.CodeBadRequest {
		t.Errorf("with another's id: %v", err)
	}
}

func TestDrainGivesUpWithItsCallerAtAFakeHost(t *testing.T) {
	noLeaks(t)
	host := &drainableHost{asked: make(chan struct{}, 10), empty: make(chan struct{})}
	c, _ := serveHost(t, host)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Drain(ctx); function.CodeOf(err) != function.CodeTimeout {
		t.Errorf("want a timeout, got %v", err)
	}
}

func TestAlwaysTrue9DrainWantsAnAdminAtAFakeHost(t *testing.T) {
	noLeaks(t)
	host := &drainableHost{asked: make(chan struct{}, 10), empty: make(chan struct{})}
	addr := serve(t, NewHandler(HandlerConfig{Host: host, Auth: roleTokens{}}), Server{})
	// No admin token of one namespace is made, but one may be written into tokens.json.
	for token, want := range map[string]function.Code{"client": function.CodeForbidden, "admin/guest": function.CodeForbidden, "join": function.CodeForbidden, "nobody": function.CodeUnauthorized} {
		if err := dialTo(t, addr, token).Drain(t.Context()); function.CodeOf(err) != want {
			t.Errorf("with the token %q: %v, want %s", token, err, want)
		}
	}
	if n := len(host.asked); n != 0 {
		t.Errorf("the host was asked %d times", n)
	}
}

func TestDrainOfAFakeHostThatCannot(t *testing.T) {
	noLeaks(t)
	c, addr := serveHost(t, &fakeHost{})
	if err := c.Drain(t.Context()); function.CodeOf(err) != function.CodeBadRequest {
		t.Errorf("want bad_request, got %v", err)
	}
	resp, err := http.Get("http://" + addr + "/drain")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET /drain: %s", resp.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}
