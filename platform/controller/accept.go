package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// Who is answered 202 is promised that the activation will have a record, whatever becomes of
// this process. So it is in the store's journal before that answer leaves, and until its record
// is written. A blocking call that ends within its wait costs nothing of this.

// accept makes a run outlive this process, and sends it on its way.
func (c *Controller) accept(ctx context.Context, run *bus.Run) error {
	if err := c.takeOff(context.WithoutCancel(ctx), run); err != nil { // before anything is written
		return err
	}
	run.Journaled = true
	if err := c.journal(ctx, run, store.Accepted{}); err != nil {
		c.throttles.flights.end(run.ActivationID)
		return err
	}
	if err := c.send(ctx, run); err != nil {
		return errors.Join(err, c.store.Forget(context.WithoutCancel(ctx), run.ActivationID))
	}
	return nil
}

// acceptLate makes a run outlive this process whose caller has waited long enough. The run is
// on its way, perhaps in a container, perhaps over.
func (c *Controller) acceptLate(ctx context.Context, run *bus.Run) error {
	return run.Sending.Accept(func(sent bool) error {
		entry := store.Accepted{Late: true}
		if sent {
			entry.Sent = time.Now().UnixMilli()
		}
		late := *run // the invoker has the other one in its hands
		late.Journaled, late.ReplyTo = true, ""
		return c.journal(ctx, &late, entry)
	})
}

// journal adds the run as entry says.
func (c *Controller) journal(ctx context.Context, run *bus.Run, entry store.Accepted) (err error) {
	if entry.Body, err = c.cfg.Codec.Encode(run); err != nil {
		return err
	}
	entry.ID, entry.Kind, entry.CodeID = run.ActivationID, store.AcceptedRun, run.Action.CodeID
	if err = c.store.Accept(context.WithoutCancel(ctx), entry); err != nil {
		return fmt.Errorf("accepting an activation: %w", err)
	}
	return nil
}

// promise is for an activation whose state lives in this process, such as a composition. It must
// be called before its id is given to somebody who does not wait for its end. rec is its record as far
// as it is known: if this process is killed before PutActivation of its real record, a restart
// writes rec, as a failure that says so.
func (c *Controller) promise(ctx context.Context, rec *store.Record) error {
	body, err := rec.Draft()
	if err != nil {
		return err
	}
	err = c.store.Accept(context.WithoutCancel(ctx), store.Accepted{ID: rec.ID, Kind: store.AcceptedRecord, Late: true, Body: body})
	if err != nil {
		return fmt.Errorf("accepting an activation: %w", err)
	}
	return nil
}
