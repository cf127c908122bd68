package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

const (
	// journalPage is how many entries of the journal are read at a time.
	journalPage = 256
	// roomEvery is how often it is looked whether the queue has room again.
	roomEvery = 20 * time.Millisecond
)

// recover keeps the promises of an earlier process, whichever way it ended. What it had sent gets a
// record that says what is known; what it had not is queued again, in the order of acceptance. What the
// queue has no room for follows beside what is new.
func (p *Platform) recover(ctx context.Context) error {
	r := recovery{p: p}
	err := r.resumeAll(ctx)
	if errors.Is(err, bus.ErrFull) {
		p.requeuing.Go(func() { r.resumeLater(p.ending) })
		return nil
	}
	return err
}

// A recovery is on its way through the journal.
type recovery struct {
	p     *Platform
	after int64 // the place of the last entry that is resumed
}

// resumeAll goes on until the end, or until the queue is full: then the error is bus.ErrFull.
func (r *recovery) resumeAll(ctx context.Context) error {
	for {
		page, err := r.p.store.Left(ctx, r.after, journalPage)
		if err != nil || len(page) == 0 {
			return err
		}
		if r.after == 0 {
			r.p.cfg.Log.Info("taking up again what was accepted before this start")
		}
		for _, entry := range page {
			if err := r.resume(ctx, entry); err != nil {
				return err
			}
			r.after = entry.Place
		}
	}
}

// resumeLater goes on whenever the queue has room again, until ctx ends.
func (r *recovery) resumeLater(ctx context.Context) {
	ticker := time.NewTicker(roomEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := r.resumeAll(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !errors.Is(err, bus.ErrFull) {
			r.p.cfg.Log.Error("taking up again what was accepted before this start, will try again", "error", err)
		}
	}
}

// resume does what an entry asks for. One that cannot be read stays where it is.
func (r *recovery) resume(ctx context.Context, entry store.Accepted) error {
	var err error
	switch entry.Kind {
	case store.AcceptedRun:
		err = r.resumeRun(ctx, entry)
	case store.AcceptedRecord:
		err = r.endRecord(ctx, entry)
	default:
		err = unreadable{fmt.Errorf("it is of the kind %q, which this version does not know; a newer one does", entry.Kind)}
	}
	var odd unreadable
	if errors.As(err, &odd) {
		r.p.cfg.Log.Error("an accepted activation cannot be read and stays in the journal", "activation", entry.ID, "error", odd.error)
		return nil
	}
	return err
}

// unreadable says that an entry is not what it should be.
type unreadable struct{ error }

// The words for activations that this process cannot take up again.
const (
	msgKeyLost   = "The action was accepted, and not run before the platform was restarted. Its API key cannot be read any more: the file " + secretFile + " is another one."
	msgKilledEnd = "The platform was killed before the activation ended. Its parts that had begun have records of their own, if they ended; the others did not run."
)

func (r *recovery) resumeRun(ctx context.Context, entry store.Accepted) error {
	run, err := r.p.codec.Decode(entry.Body)
	if entry.Sent != 0 && run != nil {
		return r.p.invoker.Lost(run, entry.Sent)
	}
	if errors.Is(err, bus.ErrSealed) {
		return r.p.invoker.Abandon(run, msgKeyLost)
	}
	if err != nil {
		return unreadable{err}
	}
	err = r.p.controller.RenewKey(ctx, run)
	if refused := new(controller.Error); errors.As(err, &refused) { // who it was for is not there any more
		return r.p.invoker.Abandon(run, refused.Message)
	}
	if err != nil {
		return err
	}
	run.Journaled, run.ReplyTo, run.Requeued = true, "", time.Now().UnixMicro()
	return r.p.runs.Publish(ctx, run.Message())
}

// endRecord ends an activation whose state was in the process that was killed.
func (r *recovery) endRecord(ctx context.Context, entry store.Accepted) error {
	rec, err := store.ReadDraft(entry.Body)
	if err != nil {
		return unreadable{err}
	}
	reason, err := json.Marshal(map[string]string{"error": msgKilledEnd})
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	duration := now - rec.Start
	rec.End, rec.Duration, rec.Status, rec.Result = now, &duration, store.StatusWhiskError, reason
	act, err := rec.Encode()
	if err != nil {
		return unreadable{err}
	}
	return r.p.store.PutActivation(ctx, act)
}
