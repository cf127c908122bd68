package bus

import (
	"context"
	"errors"
	"sync"
)

// What Publish and Receive may answer.
var (
	// ErrFull says that the topic holds as much as it may. Nothing was published.
	ErrFull = errors.New("the queue is full")
	// ErrClosed says that the topic or the subscription was closed.
	ErrClosed = errors.New("the queue is closed")
)

// A Message is what travels on a topic.
type Message[T any] struct {
	// Key says what the message is about. Messages with the same key are first received in
	// the order in which they were published; a broker puts them into one partition.
	Key  string
	Size int // what the body counts against the topic's bound, in bytes
	Body T
}

// A Topic is a queue that several consumers may share: together they are one group, and each
// message goes to one of them. All methods may be called at the same time.
type Topic[T any] interface {
	// Publish adds a message at the end, as safely as the topic keeps any. It does not wait for
	// room: the error is ErrFull then, and ErrClosed after the end.
	Publish(ctx context.Context, m Message[T]) error
	// Subscribe returns a further consumer.
	Subscribe() (Subscription[T], error)
}

// A Subscription is one consumer of a topic.
type Subscription[T any] interface {
	// Receive waits for a message. The error is ctx's, or ErrClosed.
	Receive(ctx context.Context) (*Delivery[T], error)
	// Close ends the consumer. What it received and did not settle is delivered to
	// others, as Redelivered; the same happens when a consumer's process dies.
	Close() error
}

// A Delivery is a message in the hands of a consumer, who must settle it by Ack or
// Release. Only the first of the two counts.
type Delivery[T any] struct {
	Message[T]
	// Redelivered says that another consumer had the message and was gone without a word: it
	// may have handled it, or begun to.
	Redelivered bool

	once    sync.Once
	settle  func(ctx context.Context, ack bool) error
	outcome error
}

// NewDelivery returns a delivery that calls settle with true for Ack and false for
// Release, once at most. It is for implementations of Topic.
func NewDelivery[T any](m Message[T], redelivered bool, settle func(ctx context.Context, ack bool) error) *Delivery[T] {
	return &Delivery[T]{Message: m, Redelivered: redelivered, settle: settle}
}

// Ack says that the message is handled, or that handling it begins and must not be
// repeated by anyone else. When it returns nil, the message is never delivered again, whoever
// dies. After an error it may be, and whoever must not do twice what it asks for must not do it.
func (d *Delivery[T]) Ack(ctx context.Context) error { return d.end(ctx, true) }

// Release gives the message back, at the head of the queue as far as the topic can: it certainly was
// not handled.
func (d *Delivery[T]) Release(ctx context.Context) error { return d.end(ctx, false) }

// end settles once. Later calls return what came of the first.
func (d *Delivery[T]) end(ctx context.Context, ack bool) error {
	d.once.Do(func() { d.outcome = d.settle(ctx, ack) })
	return d.outcome
}
