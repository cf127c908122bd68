package gpu

import (
	"context"
	"fmt"
	"time"
)

// answerLimit is how long a driver may take. When nothing else uses the GPUs it
// is loaded first, which takes seconds on machines with many.
const answerLimit = 20 * time.Second

// A line leads to a driver. It carries one call at a time. Nobody waits at it for
// longer than its limit: a call into a driver that hangs cannot be ended, so it
// is left behind, and while it lasts the line carries no other.
type line struct {
	limit time.Duration
	free  chan struct{} // holds something while the line carries no call
}

func newLine(limit time.Duration) *line {
	l := &line{limit: limit, free: make(chan struct{}, 1)}
	l.free <- struct{}{}
	return l
}

// enter waits until the line is free, and takes it.
func (l *line) enter(ctx context.Context) error {
	select {
	case <-l.free:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the driver is still busy with an earlier question: %w", context.Cause(ctx))
	}
}

func (l *line) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, l.limit, fmt.Errorf("the driver has not answered for %v", l.limit))
}

// call makes one call over the line. ctx tells f when nobody waits any more.
func call[T any](ctx context.Context, l *line, f func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	ctx, cancel := l.bound(ctx)
	defer cancel()
	if err := l.enter(ctx); err != nil {
		return none, err
	}
	answered := make(chan answer, 1)
	go func() { // close waits for it
		defer func() { l.free <- struct{}{} }()
		value, err := f(ctx)
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// close waits for the call that the line carries, up to the limit. The line carries
// none afterwards.
func (l *line) close() error {
	ctx, cancel := l.bound(context.Background())
	defer cancel()
	return l.enter(ctx)
}
