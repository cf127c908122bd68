package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
)

// An Invocation asks for one run of an action.
type Invocation struct {
	By          Identity
	Action      Name
	Args        json.RawMessage // of CheckArgs
	Transaction string
	Cause       string        // the activation that causes this one, if any
	Wait        time.Duration // how long to wait for the end; 0: not at all
	Reader      Reader        // who reads the result's items as they come; nil: nobody
}

// A Reader is a bus.Reader that must know more.
type Reader interface {
	bus.Reader
	// Accepted is called first, with the activation's id.
	Accepted(id string)
	// Stays is asked when the wait is over. It reports whether a stream has begun, whose end
	// is then waited for. If not, the run goes on without the reader.
	Stays() bool
}

// Invoke sends an invocation on its way and returns the activation's id. done is
// nil unless the end came within in.Wait, and before ctx ended.
func (c *Controller) Invoke(ctx context.Context, in Invocation) (id string, done *bus.Completed, err error) {
	accepted := time.Now()
	a, err := c.resolveAction(ctx, in.Action)
	if err != nil {
		return "", nil, err
	}
	if err := c.checkKind(a.action.Kind); err != nil {
		return "", nil, err
	}
	args, err := merge(a.defaults, in.Args)
	if err != nil {
		return "", nil, err
	}
	run := &bus.Run{
		ActivationID: newActivationID(), Transaction: in.Transaction,
		Namespace: in.By.Namespace, Subject: in.By.Subject, Cause: in.Cause,
		Action: a.action, Args: args, Accepted: accepted.UnixMicro(),
	}
	if a.providesKey {
		run.APIKey = in.By.Key
	}
	if in.Wait <= 0 {
		return run.ActivationID, nil, c.publish(ctx, run)
	}
	run.ReplyTo = c.cfg.Name
	if in.Reader != nil {
		in.Reader.Accepted(run.ActivationID)
		run.Reader = in.Reader
	}
	end := c.waiters.add(run.ActivationID)
	defer c.waiters.remove(run.ActivationID)
	if err := c.publish(ctx, run); err != nil {
		return "", nil, err
	}
	return run.ActivationID, await(ctx, end, in), nil
}

// await waits for the end for as long as the caller wants to.
func await(ctx context.Context, end <-chan *bus.Completed, in Invocation) *bus.Completed {
	timer := time.NewTimer(in.Wait)
	defer timer.Stop()
	over := timer.C
	for {
		select {
		case done := <-end:
			return done
		case <-ctx.Done():
			return nil
		case <-over:
		}
		if in.Reader == nil || !in.Reader.Stays() {
			return nil
		}
		over = nil
	}
}

func (c *Controller) publish(ctx context.Context, run *bus.Run) error {
	err := c.runs.Publish(ctx, bus.Message[*bus.Run]{Key: run.Action.FullName(), Size: len(run.Args) + 1024, Body: run})
	switch {
	case errors.Is(err, bus.ErrFull):
		return errOverloaded
	case errors.Is(err, bus.ErrClosed):
		return errStopping
	}
	if err != nil {
		return fmt.Errorf("queueing an activation: %w", err)
	}
	return nil
}
