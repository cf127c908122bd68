package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

func publish(t *testing.T, topic *Memory[string], bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := topic.Publish(t.Context(), Message[string]{Key: "k", Size: len(body), Body: body}); err != nil {
			t.Fatalf("Publish(%q): %v", body, err)
		}
	}
}

func receive(t *testing.T, s Subscription[string]) *Delivery[string] {
	t.Helper()
	d, err := s.Receive(t.Context())
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	return d
}

func subscribe(t *testing.T, topic *Memory[string]) Subscription[string] {
	t.Helper()
	s, err := topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOrderAndRelease(t *testing.T) {
	topic := NewMemory[string](Bounds{Messages: 10, Bytes: 100})
	publish(t, topic, "a", "b", "c")
	s := subscribe(t, topic)
	a := receive(t, s)
	a.Release()
	a.Ack() // the second call must not count
	for _, want := range []string{"a", "b", "c"} {
		d := receive(t, s)
		if d.Body != want {
			t.Fatalf("got %q, want %q", d.Body, want)
		}
		d.Ack()
	}
}

func TestAlwaysTrue7TopicIsBounded(t *testing.T) {
	topic := NewMemory[string](Bounds{Messages: 2, Bytes: 10})
	publish(t, topic, "a", "b")
	ctx := t.Context()
	if err := topic.Publish(ctx, Message[string]{Body: "c"}); !errors.Is(err, ErrFull) {
		t.Fatalf("a third message: %v, want ErrFull", err)
	}
	s := subscribe(t, topic)
	d := receive(t, s)
	if err := topic.Publish(ctx, Message[string]{Body: "c"}); !errors.Is(err, ErrFull) {
		t.Fatalf("an unacknowledged message must count: %v", err)
	}
	d.Ack()
	if err := topic.Publish(ctx, Message[string]{Size: 10, Body: "0123456789"}); !errors.Is(err, ErrFull) {
		t.Fatalf("too many bytes: %v, want ErrFull", err)
	}
	publish(t, topic, "c")
}

func TestCloseOfASubscriptionRedelivers(t *testing.T) {
	topic := NewMemory[string](Bounds{Messages: 10, Bytes: 100})
	publish(t, topic, "a", "b", "c")
	first := subscribe(t, topic)
	receive(t, first)
	receive(t, first)
	first.Close()
	if _, err := first.Receive(t.Context()); !errors.Is(err, ErrClosed) {
		t.Fatalf("Receive after Close: %v", err)
	}
	second := subscribe(t, topic)
	for _, want := range []string{"a", "b", "c"} {
		if d := receive(t, second); d.Body != want {
			t.Fatalf("got %q, want %q", d.Body, want)
		}
	}
}

func TestCloseReturnsWhatIsLeft(t *testing.T) {
	topic := NewMemory[string](Bounds{Messages: 10, Bytes: 100})
	publish(t, topic, "a", "b")
	s := subscribe(t, topic)
	receive(t, s).Ack()
	left := topic.Close()
	if len(left) != 1 || left[0].Body != "b" {
		t.Fatalf("left: %v", left)
	}
	if _, err := s.Receive(t.Context()); !errors.Is(err, ErrClosed) {
		t.Fatalf("Receive: %v", err)
	}
	if err := topic.Publish(t.Context(), Message[string]{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("Publish: %v", err)
	}
}

func TestAMessageIsNeverHandledByTwo(t *testing.T) {
	const messages, consumers = 2000, 8
	topic := NewMemory[string](Bounds{Messages: messages, Bytes: 1 << 20})
	var mu sync.Mutex
	seen := map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for range consumers {
		s := subscribe(t, topic)
		all.Go(func() {
			for n := 0; ; n++ {
				d, err := s.Receive(ctx)
				if err != nil {
					return
				}
				if n%7 == 3 {
					d.Release()
					continue
				}
				d.Ack()
				mu.Lock()
				seen[d.Body]++
				if len(seen) == messages {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for i := range messages {
		publish(t, topic, fmt.Sprint(i))
	}
	all.Wait()
	for body, n := range seen {
		if n != 1 {
			t.Fatalf("message %s was handled %d times", body, n)
		}
	}
}
