// Package bustest holds an implementation of bus.Topic to what package bus says. Each
// implementation runs it in its own tests.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
)

// Open makes an empty topic for one test, which ends it by t.Cleanup. A topic that a broker
// bounds in its own way may be larger than bounds.
type Open func(t *testing.T, bounds bus.Bounds) bus.Topic[string]

// patience is how long a message may take to come.
const patience = 30 * time.Second

// Run runs all tests.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"OrderAndRelease":            orderAndRelease,
		"Bounds":                     bounds,
		"OnlyTheFirstSettlingCounts": onlyTheFirstSettlingCounts,
		"ALostConsumersMessages":     aLostConsumersMessages,
		"ReceiveEnds":                receiveEnds,
		"OneConsumerOfMany":          oneConsumerOfMany,
		"ConsumersComeAndGo":         consumersComeAndGo,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

var wide = bus.Bounds{Messages: 10_000, Bytes: 1 << 20}

func publish(t *testing.T, topic bus.Topic[string], bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := topic.Publish(t.Context(), bus.Message[string]{Key: "k", Size: len(body), Body: body}); err != nil {
			t.Fatalf("Publish(%q): %v", body, err)
		}
	}
}

func subscribe(t *testing.T, topic bus.Topic[string]) bus.Subscription[string] {
	t.Helper()
	s, err := topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func receive(t *testing.T, s bus.Subscription[string]) *bus.Delivery[string] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := s.Receive(ctx)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	return d
}

// expect receives messages in that order and settles them.
func expect(t *testing.T, s bus.Subscription[string], bodies ...string) {
	t.Helper()
	for _, want := range bodies {
		d := receive(t, s)
		if d.Body != want || d.Key != "k" {
			t.Fatalf("got %q with the key %q, want %q with %q", d.Body, d.Key, want, "k")
		}
		ack(t, d)
	}
}

func ack(t *testing.T, d *bus.Delivery[string]) {
	t.Helper()
	if err := d.Ack(t.Context()); err != nil {
		t.Fatalf("Ack of %q: %v", d.Body, err)
	}
}

func orderAndRelease(t *testing.T, open Open) {
	topic := open(t, wide)
	publish(t, topic, "a", "b", "c")
	s := subscribe(t, topic)
	a := receive(t, s)
	if a.Redelivered {
		t.Error("a new message counts as delivered before")
	}
	if err := a.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := receive(t, s)
	if again.Body != "a" || again.Redelivered {
		t.Fatalf("after a release: %q, delivered before: %v", again.Body, again.Redelivered)
	}
	ack(t, again)
	expect(t, s, "b", "c")
}

func bounds(t *testing.T, open Open) {
	topic := open(t, bus.Bounds{Messages: 2, Bytes: 10})
	s := subscribe(t, topic)
	full := func(m bus.Message[string]) bool {
		err := topic.Publish(t.Context(), m)
		if err != nil && !errors.Is(err, bus.ErrFull) {
			t.Fatalf("Publish: %v, want ErrFull", err)
		}
		return err != nil
	}
	publish(t, topic, "a", "b")
	if !full(bus.Message[string]{Key: "k", Body: "c"}) {
		t.Skip("the topic is bounded in another way")
	}
	d := receive(t, s)
	if !full(bus.Message[string]{Key: "k", Body: "c"}) {
		t.Error("an unacknowledged message must count")
	}
	ack(t, d)
	if !full(bus.Message[string]{Key: "k", Size: 10, Body: "0123456789"}) {
		t.Error("bytes do not count")
	}
	publish(t, topic, "c")
	expect(t, s, "b", "c")
}

func onlyTheFirstSettlingCounts(t *testing.T, open Open) {
	topic := open(t, wide)
	publish(t, topic, "a", "b")
	s := subscribe(t, topic)
	a := receive(t, s)
	ack(t, a)
	if err := a.Release(t.Context()); err != nil {
		t.Errorf("Release after Ack: %v, want what Ack said", err)
	}
	expect(t, s, "b")
	s.Close()
	other := subscribe(t, topic)
	publish(t, topic, "c")
	expect(t, other, "c") // and not a or b again
}

// What a consumer had when it went is others', who know of it, and it is not the consumer's
// any more.
func aLostConsumersMessages(t *testing.T, open Open) {
	topic := open(t, wide)
	publish(t, topic, "a", "b", "c")
	first := subscribe(t, topic)
	a, b := receive(t, first), receive(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Receive(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Fatalf("Receive after Close: %v", err)
	}
	for _, d := range []*bus.Delivery[string]{a, b} {
		if err := d.Ack(t.Context()); err == nil {
			t.Errorf("%q was acknowledged by a consumer that is closed", d.Body)
		}
	}
	second := subscribe(t, topic)
	got := map[string]bool{}
	for range 3 {
		d := receive(t, second)
		got[d.Body] = d.Redelivered
		ack(t, d)
	}
	if want := map[string]bool{"a": true, "b": true, "c": false}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("delivered before: %v, want %v", got, want)
	}
}

func receiveEnds(t *testing.T, open Open) {
	topic := open(t, wide)
	s := subscribe(t, topic)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := s.Receive(ctx)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Receive in a context that ends: %v", err)
	}
	go func() {
		_, err := s.Receive(t.Context())
		ended <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Receive while the subscription is closed: %v", err)
	}
	publish(t, topic, "a")
	expect(t, subscribe(t, topic), "a") // nothing went to who does not listen any more
}

// A tally is what many consumers have handled.
type tally struct {
	mu    sync.Mutex
	times map[string]int
	all   int
	done  context.CancelFunc // called when all messages were handled
}

func (c *tally) handled(body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[body]++
	if len(c.times) == c.all {
		c.done()
	}
}

// consume handles what comes to s, one in so many is released, until ctx ends, or s is closed.
// What cannot be acknowledged is not handled.
func (c *tally) consume(ctx context.Context, s bus.Subscription[string], release int) {
	for n := 1; ; n++ {
		d, err := s.Receive(ctx)
		if err != nil {
			return
		}
		if n%release == 0 {
			d.Release(ctx)
		} else if d.Ack(ctx) == nil {
			c.handled(d.Body)
		}
	}
}

func (c *tally) check(t *testing.T) {
	t.Helper()
	if len(c.times) != c.all {
		t.Errorf("%d messages of %d were handled", len(c.times), c.all)
	}
	for body, n := range c.times {
		if n != 1 {
			t.Errorf("message %s was handled %d times", body, n)
		}
	}
}

func oneConsumerOfMany(t *testing.T, open Open) {
	topic := open(t, wide)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := &tally{times: map[string]int{}, all: 2000, done: cancel}
	var all sync.WaitGroup
	for range 8 {
		s := subscribe(t, topic)
		all.Go(func() { c.consume(ctx, s, 7) })
	}
	for i := range c.all {
		publish(t, topic, fmt.Sprint(i))
	}
	all.Wait()
	c.check(t)
}

// Consumers are closed in the middle of their work, and others come.
func consumersComeAndGo(t *testing.T, open Open) {
	topic := open(t, wide)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := &tally{times: map[string]int{}, all: 2000, done: cancel}
	var all sync.WaitGroup
	stays := subscribe(t, topic) // it handles what the others leave
	all.Go(func() { c.consume(ctx, stays, 5) })
	for i := range c.all {
		publish(t, topic, fmt.Sprint(i))
		if i%100 > 0 {
			continue
		}
		works, idles := subscribe(t, topic), subscribe(t, topic)
		all.Go(func() { c.consume(ctx, works, 3) })
		all.Go(func() { // this one takes a message, does nothing with it, and goes
			idles.Receive(ctx)
			idles.Close()
		})
		if i%200 == 0 {
			all.Go(func() { works.Close() })
		}
	}
	all.Wait()
	c.check(t)
}
