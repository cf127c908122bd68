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
	if err := c.gate.enter(); err != nil {
		return "", nil, err
	}
	defer c.gate.leave()
	return c.invoke(ctx, in)
}

// invoke is Invoke for who is past the gate.
func (c *Controller) invoke(ctx context.Context, in Invocation) (id string, done *bus.Completed, err error) {
	if err := c.throttle(ctx, in.By.Namespace); err != nil {
		return "", nil, err
	}
	a, err := c.resolve(ctx, in.By, in.Action)
	if err != nil {
		return "", nil, err
	}
	if err := a.checkFinal(in.Args); err != nil {
		return "", nil, err
	}
	return c.invokeResolved(ctx, a, in)
}

// checkFinal refuses arguments that set what must not be set.
func (a *ResolvedAction) checkFinal(args json.RawMessage) error {
	if len(a.final) == 0 || args[0] != '{' {
		return nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(args, &given); err != nil {
		return Malformed("%v", err)
	}
	for key := range given {
		if a.IsFinal(key) {
			return errNotAllowed
		}
	}
	return nil
}

// invokeResolved is invoke for an action that was resolved before. Whoever did that has
// decided that in.By may, and that in.Args may be; in.Action is not looked at.
func (c *Controller) invokeResolved(ctx context.Context, a *ResolvedAction, in Invocation) (id string, done *bus.Completed, err error) {
	if err := c.checkKind(a.action.Kind); err != nil {
		return "", nil, err
	}
	if a.isComposition() {
		return c.compose(ctx, a, in)
	}
	run, err := c.newRun(ctx, a, in)
	if err != nil {
		return "", nil, err
	}
	if run.Action.Kind == KindBuiltin {
		if in.Wait > 0 {
			done, err = c.invokeBuiltin(ctx, run, in.By, c.store.PutActivation)
		} else { // the 202 promises the record
			_, err = c.invokeBuiltin(ctx, run, in.By, c.store.KeepActivation)
		}
		return run.ActivationID, done, err
	}
	if in.Wait <= 0 {
		return run.ActivationID, nil, c.accept(ctx, run)
	}
	run.ReplyTo, run.Sending = c.cfg.Name, new(bus.Sending)
	if in.Reader != nil {
		in.Reader.Accepted(run.ActivationID)
		run.Reader = in.Reader
	}
	end := c.waiters.add(run.ActivationID)
	defer c.waiters.remove(run.ActivationID)
	if err := c.publish(ctx, run); err != nil {
		return "", nil, err
	}
	return awaitOrPromise(ctx, run.ActivationID, end, in, func() error { return c.acceptLate(ctx, run) })
}

// awaitOrPromise waits for the end for as long as the caller wants to. A caller who is told only the id then is
// promised a record, by promise.
func awaitOrPromise(ctx context.Context, id string, end <-chan *bus.Completed, in Invocation, promise func() error) (string, *bus.Completed, error) {
	done := await(ctx, end, in)
	if done != nil || ctx.Err() != nil {
		return id, done, nil
	}
	if err := promise(); err != nil {
		return "", nil, err
	}
	select {
	case done = <-end: // it came meanwhile
	default:
	}
	return id, done, nil
}

// newRun is the run of an action that is no composition.
func (c *Controller) newRun(ctx context.Context, a *ResolvedAction, in Invocation) (*bus.Run, error) {
	args, err := merge(a.defaults, in.Args)
	if err != nil {
		return nil, err
	}
	run := &bus.Run{
		ActivationID: newActivationID(), Transaction: in.Transaction,
		Namespace: in.By.Namespace, Subject: in.By.Subject, Cause: in.Cause,
		Action: a.action, Args: args, Accepted: time.Now().UnixMicro(),
	}
	if a.providesKey && a.action.Kind != KindBuiltin {
		run.APIKey, err = c.keyFor(ctx, in.By, time.Duration(a.action.Limits.Timeout)*time.Millisecond)
	}
	return run, err
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
	if err := c.takeOff(ctx, run); err != nil {
		return err
	}
	return c.send(ctx, run)
}

// send is publish for a run that has taken off.
func (c *Controller) send(ctx context.Context, run *bus.Run) error {
	err := c.runs.Publish(ctx, run.Message())
	if err != nil {
		c.throttles.flights.end(run.ActivationID)
	}
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
