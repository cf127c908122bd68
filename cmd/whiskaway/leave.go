package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// secondSignal returns a context that ends when a signal comes after the one that has ended ctx:
// whoever sends it wants nothing more to be waited for.
func secondSignal(ctx context.Context) (hurry context.Context, stop func()) {
	hurry, stop = context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		again, forget := signal.NotifyContext(hurry, os.Interrupt, syscall.SIGTERM)
		defer forget()
		<-again.Done()
		stop()
	})
	return hurry, stop
}

// drainFirst returns the context in which a process can be reached that others count on. When told
// ends, drain gets up to limit, and only then does that context end; it ends at once when something
// else in g has failed, which ends working.
func drainFirst(told, working, hurry context.Context, g *errgroup.Group, limit time.Duration, drain func(context.Context) error) context.Context {
	serving, end := context.WithCancel(context.WithoutCancel(told))
	g.Go(func() error {
		defer end()
		<-working.Done()
		if told.Err() == nil {
			return nil
		}
		limited, cancel := context.WithTimeout(hurry, limit)
		defer cancel()
		return drain(limited)
	})
	return serving
}
