package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A composition is the activation of a sequence or of a conductor. It runs no code
// of its own but invokes others, one after the other, in its owner's goroutine: its
// parts, which may be compositions again.
type composition struct {
	c        *Controller
	log      compositionLog
	action   *ResolvedAction
	by       Identity
	id       string
	cause    string
	topmost  bool
	unkept   bool // its record is not kept
	depth    int  // of the compositions around it
	left     *int // how many activations all of the topmost composition may still cause
	accepted time.Time
	start    time.Time

	transaction string
	reader      Reader // of the last part of a sequence; nil: nobody
}

// A compositionLog is what its record says of the parts.
type compositionLog struct {
	parts    []string // their ids
	duration int64    // the sum of theirs, in milliseconds
	memory   int      // the most of theirs, in megabytes; 0: there was none
}

// An outcome is what an activation came to.
type outcome struct {
	status int
	result json.RawMessage
}

// failure is an outcome with a text.
func failure(status int, text string) outcome {
	return outcome{status, errorObject(text)}
}

func errorObject(text string) json.RawMessage {
	return append(store.AppendString([]byte(`{"error":`), text), '}')
}

// An ended is an activation that a composition waited for.
type ended struct {
	outcome
	id       string
	duration int64
	memory   int
}

// compose begins a composition that nobody but the request causes, and waits for its
// end for as long as in says.
func (c *Controller) compose(ctx context.Context, a *ResolvedAction, in Invocation) (string, *bus.Completed, error) {
	if err := c.checkParts(ctx, in.By, a); err != nil {
		return "", nil, err
	}
	allowed, err := c.Allowance(ctx, in.By.Namespace) // now, since what has begun has a record in any case
	if err != nil {
		return "", nil, err
	}
	now, left := time.Now(), c.compositions.maxCaused
	s := &composition{
		c: c, action: a, by: in.By, id: newActivationID(), cause: in.Cause, topmost: true, unkept: !allowed.StoreActivations, left: &left,
		accepted: now, start: now, transaction: in.Transaction, reader: in.Reader,
	}
	if in.Reader != nil {
		in.Reader.Accepted(s.id)
	}
	if in.Wait <= 0 {
		return s.id, nil, s.accept(ctx, in.Args)
	}
	end, draft := c.callers.add(s.id), s.record(outcome{})
	defer c.callers.remove(s.id)
	if err := s.begin(in.Args); err != nil {
		return "", nil, err
	}
	return awaitOrPromise(ctx, s.id, end, in, func() error { return c.promise(ctx, draft) })
}

// accept promises a record to somebody who does not wait, and begins.
func (s *composition) accept(ctx context.Context, args json.RawMessage) error {
	if err := s.c.promise(ctx, s.record(outcome{})); err != nil {
		return err
	}
	if err := s.begin(args); err != nil {
		return errors.Join(err, s.c.store.Forget(context.WithoutCancel(ctx), s.id))
	}
	return nil
}

// begin lets a topmost composition run in a goroutine of its own.
func (s *composition) begin(args json.RawMessage) error {
	return s.c.compositions.start(func() {
		if done := s.run(s.c.composing, args); done != nil {
			s.c.callers.tell(done)
		}
	})
}

// checkParts refuses a sequence with a part that id may not invoke.
func (c *Controller) checkParts(ctx context.Context, id Identity, a *ResolvedAction) error {
	for _, part := range a.components {
		if known, _ := c.resolved.get(part); known != nil && known.allows(id) {
			continue
		}
		if _, _, err := c.throughPackage(ctx, id, part); err != nil {
			return err
		}
	}
	return nil
}

// run carries a composition out, keeps its record, and returns it.
func (s *composition) run(ctx context.Context, args json.RawMessage) *bus.Completed {
	s.start = time.Now()
	var o outcome
	if s.action.isSequence {
		o, _ = s.sequence(ctx, args, 0)
	} else {
		o = s.conduct(ctx, args, &account{limit: s.c.cfg.Limits.Sequence})
	}
	done, err := s.keep(o)
	if err != nil {
		s.c.log.Error("the end of a composition could not be told", "activation", s.id, "error", err)
	}
	return done
}

// inner is the composition of a part.
func (s *composition) inner(a *ResolvedAction) *composition {
	now := time.Now()
	return &composition{
		c: s.c, action: a, by: s.by, id: newActivationID(), cause: s.id, unkept: s.unkept, depth: s.depth + 1, left: s.left,
		accepted: now, start: now, transaction: s.transaction,
	}
}

// end keeps the record of an inner composition and says what it was.
func (s *composition) end(o outcome) (ended, error) {
	if _, err := s.keep(o); err != nil {
		return ended{}, err
	}
	return ended{outcome: o, id: s.id, duration: s.log.duration, memory: s.log.memory}, nil
}

// add takes a part's end into the record.
func (s *composition) add(e ended) {
	s.log.parts = append(s.log.parts, e.id)
	s.log.duration += e.duration
	s.log.memory = max(s.log.memory, e.memory)
}

var errEndless = errors.New("the composition causes too many activations")

// A lost is the error of a part whose end did not come in time.
type lost struct{ id string }

func (l lost) Error() string { return "the end of activation " + l.id + " did not come" }

// invoke runs an action that is no composition, or a conductor for one step, and
// waits for its end.
func (s *composition) invoke(ctx context.Context, a *ResolvedAction, args json.RawMessage, reader Reader) (ended, error) {
	if *s.left--; *s.left < 0 {
		return ended{}, errEndless
	}
	if err := s.c.checkKind(a.action.Kind); err != nil {
		return ended{}, err
	}
	run, err := s.c.newRun(ctx, a, Invocation{By: s.by, Args: args, Transaction: s.transaction, Cause: s.id})
	if err != nil {
		return ended{}, err
	}
	run.CausedBy, run.ReplyTo = kindSequence, s.c.cfg.Name
	if reader != nil {
		run.Reader = reader
	}
	if run.Action.Kind == KindBuiltin {
		done, err := s.c.invokeBuiltin(ctx, run, s.by, s.c.store.PutActivation)
		return endedAs(done, a), err
	}
	end := s.c.waiters.add(run.ActivationID)
	defer s.c.waiters.remove(run.ActivationID)
	if err := s.publish(ctx, run); err != nil {
		return ended{}, err
	}
	timer := time.NewTimer(s.c.cfg.longest(a.action.Limits))
	defer timer.Stop()
	select {
	case done := <-end:
		if done == nil { // nobody hears of ends any more
			return ended{}, errStopping
		}
		return endedAs(done, a), nil
	case <-timer.C:
		return ended{}, lost{run.ActivationID}
	}
}

// endedAs is what an action came to; done nil: nothing.
func endedAs(done *bus.Completed, a *ResolvedAction) ended {
	if done == nil {
		return ended{}
	}
	return ended{outcome{done.Status, done.Result}, done.ActivationID, done.Duration, a.action.Limits.Memory}
}

// partsWait is how long a part may wait for its turn and its container. It is longer
// than an invoker lets it wait.
const partsWait = 5 * time.Minute

// longest is how long an action may take: an initialization and a run of its time
// limit each.
func (c Config) longest(l bus.Limits) time.Duration {
	return 2*time.Duration(l.Timeout)*time.Millisecond + partsWait
}

// publish waits for room in the queue: a composition that has begun is not given up
// because much else has come meanwhile.
func (s *composition) publish(ctx context.Context, run *bus.Run) error {
	pause, until := 5*time.Millisecond, time.Now().Add(partsWait)
	for {
		err := s.c.publish(ctx, run)
		if !errors.Is(err, errOverloaded) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errStopping
		}
		pause = min(2*pause, time.Second)
	}
}

// keep writes the record, and returns what a caller who waits is told.
func (s *composition) keep(o outcome) (*bus.Completed, error) {
	act, err := s.record(o).Encode()
	if err != nil {
		return nil, err
	}
	done := &bus.Completed{
		ActivationID: s.id, Status: act.Status, Duration: s.log.duration,
		Head: act.Head, Response: act.Response, Result: o.result, Logs: act.Logs,
	}
	if err := s.c.store.PutActivation(context.Background(), act); err != nil {
		return done, fmt.Errorf("keeping the record of a composition: %w", err)
	}
	return done, nil
}

// record is the composition's in OpenWhisk's words; before the end, as far as it is known.
func (s *composition) record(o outcome) *store.Record {
	a, duration := &s.action.action, s.log.duration
	say := func(key string, value any) store.Annotation { return store.Annotation{Key: key, Value: value} }
	list := []store.Annotation{say("topmost", s.topmost), say("path", a.FullName()[1:]), say("kind", kindSequence)}
	if s.action.isConducting() {
		list = append(list, say("conductor", true), say("waitTime", s.start.Sub(s.accepted).Milliseconds()))
	}
	if !s.topmost {
		list = append(list, say("causedBy", kindSequence))
	}
	if a.Binding != "" {
		list = append(list, say("binding", a.Binding))
	}
	if memory := s.memory(); memory > 0 {
		limits := a.Limits
		limits.Memory = memory
		list = append(list, say("limits", limits))
	}
	return &store.Record{
		ID: s.id, Cause: s.cause, Name: a.Name, Path: a.ListPath(), Namespace: s.by.Namespace, Subject: s.by.Subject,
		Version: a.Version, Start: s.start.UnixMilli(), End: time.Now().UnixMilli(), Duration: &duration,
		Status: o.status, Result: o.result, Logs: s.log.parts, Annotations: list, Unkept: s.unkept,
	}
}

// memory is the most that a part had; a conductor counts as one.
func (s *composition) memory() int {
	if s.action.isConducting() {
		return max(s.log.memory, s.action.action.Limits.Memory)
	}
	return s.log.memory
}
