package bus

import (
	"context"
	"errors"
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
	Key  string // messages with the same key are about the same thing
	Size int    // what the body counts against the topic's bound, in bytes
	Body T
}

// A Topic is a queue that several consumers may share. All methods may be
// called at the same time.
type Topic[T any] interface {
	// Publish adds a message at the end. It does not wait for room: the error
	// is ErrFull then, and ErrClosed after the end.
	Publish(ctx context.Context, m Message[T]) error
	// Subscribe returns a consumer. Each message goes to one consumer only.
	Subscribe() (Subscription[T], error)
}

// A Subscription is one consumer of a topic.
type Subscription[T any] interface {
	// Receive waits for a message. The error is ctx's, or ErrClosed.
	Receive(ctx context.Context) (*Delivery[T], error)
	// Close gives all messages back that were received and not settled.
	Close() error
}

// A Delivery is a message in the hands of a consumer, who must settle it
// by Ack or Release. Only the first of the two counts.
type Delivery[T any] struct {
	Message[T]
	settle func(ack bool)
}

// NewDelivery returns a delivery that calls settle with true for Ack and false
// for Release. It is for implementations of Topic; settle must bear a second call.
func NewDelivery[T any](m Message[T], settle func(ack bool)) *Delivery[T] {
	return &Delivery[T]{Message: m, settle: settle}
}

// Ack says that the message is handled, or that handling it begins and must not
// be repeated by anyone else. It is never delivered again.
func (d *Delivery[T]) Ack() { d.settle(true) }

// Release gives the message back, at the head of the queue: it certainly was
// not handled.
func (d *Delivery[T]) Release() { d.settle(false) }
