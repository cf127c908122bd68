package bus_test

import (
	"errors"
	"testing"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/bus/bustest"
)

func TestMemory(t *testing.T) {
	bustest.Run(t, func(t *testing.T, bounds bus.Bounds) bus.Topic[string] {
		topic := bus.NewMemory[string](bounds)
		t.Cleanup(func() { topic.Close() })
		return topic
	})
}

func TestCloseReturnsWhatIsLeft(t *testing.T) {
	topic := bus.NewMemory[string](bus.Bounds{Messages: 10, Bytes: 100})
	for _, body := range []string{"a", "b"} {
		if err := topic.Publish(t.Context(), bus.Message[string]{Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := topic.Close()
	if len(left) != 1 || left[0].Body != "b" || topic.Len() != 0 {
		t.Fatalf("left: %v", left)
	}
	if _, err := s.Receive(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Fatalf("Receive: %v", err)
	}
	if err := topic.Publish(t.Context(), bus.Message[string]{}); !errors.Is(err, bus.ErrClosed) {
		t.Fatalf("Publish: %v", err)
	}
	if _, err := topic.Subscribe(); !errors.Is(err, bus.ErrClosed) {
		t.Fatalf("Subscribe: %v", err)
	}
}
