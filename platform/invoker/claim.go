package invoker

import (
	"context"
	"errors"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// What keeps a run from being sent twice, also by two invokers and also after a restart: whoever
// is about to send one that is in the journal claims it there first.

// errLeft says that a run was not sent by us, and that its record is somebody else's.
var errLeft = errors.New("the run is left to others")

// A turn is a delivery on its way to be sent.
type turn struct {
	v     *Invoker
	d     *bus.Delivery[*bus.Run]
	mine  bool
	tried bool // to claim it: if it is not ours, it is another's
}

// claim is called right before a run's first byte leaves, and once more for the second
// container when the first one refused. An error forbids to send it.
func (t *turn) claim() error {
	if t.mine {
		return nil
	}
	run := t.d.Body
	if t.v.leaves(run) {
		return errLeft
	}
	t.tried = true
	if err := t.d.Ack(context.Background()); err != nil {
		t.v.log.Warn("a run cannot be acknowledged, so that others may have it", "activation", run.ActivationID, "error", err)
		return errLeft
	}
	if !run.Journaled && !run.Sending.Begin() {
		t.mine = true
		return nil
	}
	mine, err := t.v.store.ClaimRun(context.Background(), run.ActivationID)
	if err != nil {
		return err
	}
	if !mine {
		t.v.log.Warn("a run was in the queue that has been sent before", "activation", run.ActivationID, "action", run.Action.FullName())
		return errLeft
	}
	t.mine = true
	return nil
}

// unsent says what becomes of a run that could not be claimed.
func (v *Invoker) unsent(run *bus.Run, e *execution, err error) error {
	if errors.Is(err, errLeft) {
		return err
	}
	v.log.Error("an activation could not be claimed", "activation", run.ActivationID, "error", err)
	e.end = time.Now()
	e.verdict = failed(store.StatusWhiskError, msgNotClaimed, err)
	return nil
}

// execute is the execution of what was delivered; nil: the run was left to others.
func (t *turn) execute(ctx context.Context) *execution {
	run := t.d.Body
	if t.d.Redelivered && !run.Journaled { // the journal would know
		return ended(failed(store.StatusWhiskError, msgInvokerGone))
	}
	e := t.v.execute(ctx, run, t.claim)
	if e == nil && t.mine { // it was claimed for a container that refused it: nobody else may send it
		return ended(failed(store.StatusWhiskError, msgInvokerStopped))
	}
	return e
}

// giveUp settles what is left to others: another has it, or the next start will, or
// another invoker of the topic.
func (t *turn) giveUp() {
	settle := t.d.Release
	if t.tried || t.v.keeping.Load() {
		settle = t.d.Ack
	}
	if err := settle(context.Background()); err != nil {
		t.v.log.Debug("a run that was left to others could not be settled", "activation", t.d.Body.ActivationID, "error", err)
	}
}

// Leave lets runs that are in the journal and not sent stay there, for the next start:
// the whole platform stops. Others, for which somebody waits, go on.
func (v *Invoker) Leave() {
	v.keeping.Store(true)
	v.leave()
}

// leaves says whether a run that was not sent stays in the journal.
func (v *Invoker) leaves(run *bus.Run) bool {
	return v.staying.Err() != nil && (run.Journaled || run.Sending.Journaled())
}

// whileWanted returns a context that ends also when the run is left in the journal.
func (v *Invoker) whileWanted(ctx context.Context, run *bus.Run) (context.Context, context.CancelFunc) {
	if !run.Journaled {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(v.staying, cancel)
	return ctx, func() { stop(); cancel() }
}

// Abandon writes the record of a run that will not be sent, or not again: why says for whom it is.
func (v *Invoker) Abandon(run *bus.Run, why string) error {
	return v.report(run, ended(failed(store.StatusWhiskError, "%s", why)), time.Now())
}

// Lost writes the record of a run that was sent at that time, in milliseconds since 1970, by
// an invoker that was killed before it told the end.
func (v *Invoker) Lost(run *bus.Run, sent int64) error {
	at := time.UnixMilli(sent)
	e := &execution{verdict: failed(store.StatusWhiskError, msgKilled), start: at, end: at}
	return v.report(run, e, at)
}
