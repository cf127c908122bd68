package balancer

import (
	"context"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A drainable is a fakeHost that says it drains once it was asked.
type drainable struct{ *fakeHost }

func (h drainable) Drain(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.status.Servers[0]
	st.Draining = true
	h.status.Servers = []function.ServerStatus{st}
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

func TestDrainAsksTheMemberWithFakeHosts(t *testing.T) {
	b := open(t, Config{})
	host := drainable{newFake("a", 1)}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- b.Join(ctx, Member{ID: "a", Host: host}) }()
	defer func() { leave(); <-left }()
	seen := make(chan function.Status, 100)
	watching, stop := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() {
		watched <- b.Watch(watching, func(st function.Status) error { seen <- st; return nil })
	}()
	defer func() { stop(); <-watched }()
	awaitServer(t, seen, func(s function.ServerStatus) bool { return !s.Draining })
	if err := b.Drain(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	awaitServer(t, seen, func(s function.ServerStatus) bool { return s.Draining })
	if err := b.Drain(t.Context(), "b"); function.CodeOf(err) != function.CodeNoCapacity {
		t.Errorf("an unknown member: %v", err)
	}
}

// awaitServer waits for a status with one server of which ok is true.
func awaitServer(t *testing.T, seen <-chan function.Status, ok func(function.ServerStatus) bool) {
	t.Helper()
	patience := time.After(20 * time.Second)
	for {
		select {
		case st := <-seen:
			if len(st.Servers) == 1 && ok(st.Servers[0]) {
				return
			}
		case <-patience:
			t.Fatal("it was not told")
		}
	}
}
