package bus

import (
	"context"
	"sync"
)

// Bounds limit what a topic holds, counted until the acknowledgement.
type Bounds struct {
	Messages int   // how many
	Bytes    int64 // the sum of their sizes
}

// Memory is a Topic inside this process.
type Memory[T any] struct {
	bounds Bounds
	ready  chan struct{} // one token for each queued message
	closed chan struct{}

	mu       sync.Mutex
	queue    []queued[T] // queue[head:] waits for a consumer
	head     int
	held     int // messages not yet acknowledged: queued or delivered
	bytes    int64
	isClosed bool
}

// queued is a message with what happened to it.
type queued[T any] struct {
	Message[T]
	lost bool // a consumer that had it is gone
}

// NewMemory returns an empty topic.
func NewMemory[T any](bounds Bounds) *Memory[T] {
	return &Memory[T]{
		bounds: bounds,
		ready:  make(chan struct{}, bounds.Messages),
		closed: make(chan struct{}),
	}
}

// Publish implements Topic.
func (t *Memory[T]) Publish(_ context.Context, m Message[T]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed {
		return ErrClosed
	}
	if t.held >= t.bounds.Messages || t.bytes+int64(m.Size) > t.bounds.Bytes {
		return ErrFull
	}
	t.held++
	t.bytes += int64(m.Size)
	t.queue = append(t.queue, queued[T]{Message: m})
	t.ready <- struct{}{} // never blocks: there are fewer tokens than held messages
	return nil
}

// Subscribe implements Topic.
func (t *Memory[T]) Subscribe() (Subscription[T], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed {
		return nil, ErrClosed
	}
	return &subscription[T]{topic: t, out: map[uint64]queued[T]{}, closed: make(chan struct{})}, nil
}

// Close ends the topic: nothing can be published or received any more. It
// returns the messages that nobody had received.
func (t *Memory[T]) Close() []Message[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed {
		return nil
	}
	t.isClosed = true
	close(t.closed)
	left := make([]Message[T], 0, len(t.queue)-t.head)
	for _, m := range t.queue[t.head:] {
		left = append(left, m.Message)
	}
	t.queue, t.head = nil, 0
	return left
}

// Len returns how many messages wait for a consumer.
func (t *Memory[T]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) - t.head
}

// pop takes the first message; the caller holds a token for it.
func (t *Memory[T]) pop() (queued[T], bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed {
		return queued[T]{}, false
	}
	m := t.queue[t.head]
	t.queue[t.head] = queued[T]{} // let go of the body
	t.head++
	if t.head == len(t.queue) {
		t.queue, t.head = t.queue[:0], 0
	} else if t.head >= 1024 && t.head > len(t.queue)/2 {
		n := copy(t.queue, t.queue[t.head:])
		clear(t.queue[n:])
		t.queue, t.head = t.queue[:n], 0
	}
	return m, true
}

// settled takes an acknowledged message off the bound, or puts a released one
// back in front.
func (t *Memory[T]) settled(m queued[T], ack bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ack || t.isClosed {
		t.held--
		t.bytes -= int64(m.Size)
		return
	}
	if t.head > 0 {
		t.head--
		t.queue[t.head] = m
	} else {
		t.queue = append([]queued[T]{m}, t.queue...)
	}
	t.ready <- struct{}{}
}

// A subscription is one consumer of a Memory topic.
type subscription[T any] struct {
	topic  *Memory[T]
	once   sync.Once
	closed chan struct{}

	mu   sync.Mutex
	last uint64
	out  map[uint64]queued[T] // received and not settled; nil after Close
}

func (s *subscription[T]) Receive(ctx context.Context) (*Delivery[T], error) {
	select {
	case <-s.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case <-s.topic.ready:
	case <-s.topic.closed:
		return nil, ErrClosed
	case <-s.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, ok := s.topic.pop()
	if !ok {
		return nil, ErrClosed
	}
	return s.deliver(m)
}

func (s *subscription[T]) deliver(m queued[T]) (*Delivery[T], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil { // closed since the token was taken
		s.topic.settled(m, false)
		return nil, ErrClosed
	}
	s.last++
	id := s.last
	s.out[id] = m
	return NewDelivery(m.Message, m.lost, func(_ context.Context, ack bool) error { return s.settle(id, ack) }), nil
}

// settle is refused when the subscription was closed meanwhile: the message is others' now.
func (s *subscription[T]) settle(id uint64, ack bool) error {
	s.mu.Lock()
	m, ok := s.out[id]
	delete(s.out, id)
	s.mu.Unlock()
	if !ok {
		return ErrClosed
	}
	s.topic.settled(m, ack)
	return nil
}

func (s *subscription[T]) Close() error {
	s.once.Do(func() { close(s.closed) })
	s.mu.Lock()
	out := s.out
	s.out = nil
	last := s.last
	s.mu.Unlock()
	for id := last; id > 0 && len(out) > 0; id-- { // the oldest comes to lie in front
		if m, ok := out[id]; ok {
			delete(out, id)
			m.lost = true
			s.topic.settled(m, false)
		}
	}
	return nil
}
