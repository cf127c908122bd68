package controller

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/whiskaway/whiskaway/platform/store"
)

// OpenWhisk's words for how a sequence may end.
const (
	msgSequenceTooLong = "Too many actions in the sequence."
	msgSequenceMissing = "Sequence component does not exist."
	msgSequenceFailed  = "Sequence failed."
	msgSequenceLost    = "Timeout reached when retrieving activation %s for sequence component."
)

// sequence invokes a sequence's parts, each with the result of the one before, and
// stops at the first error. count is how many actions that are no sequences the
// topmost sequence has invoked; it is returned as it is in the end.
func (s *composition) sequence(ctx context.Context, args json.RawMessage, count int) (outcome, int) {
	last := outcome{result: args}
	for i, name := range s.action.components {
		if count >= s.c.cfg.Limits.Sequence || s.depth >= s.c.cfg.Limits.Sequence {
			return failure(store.StatusApplicationError, msgSequenceTooLong), count
		}
		part, err := s.c.resolve(ctx, s.by, name)
		if err != nil {
			return s.whyNoPart(err), count
		}
		reader := s.reader
		if i < len(s.action.components)-1 {
			reader = nil // who reads wants the sequence's result
		}
		var e ended
		e, count, err = s.part(ctx, part, last.result, count, reader)
		if err != nil {
			return s.whyFailed(err), count
		}
		s.add(e)
		last = e.outcome
		if last.status != store.StatusSuccess || part.isComposition() && hasError(last.result) {
			break
		}
	}
	return last, count
}

// part runs one part of a sequence.
func (s *composition) part(ctx context.Context, a *ResolvedAction, args json.RawMessage, count int, reader Reader) (e ended, _ int, err error) {
	switch {
	case a.isSequence:
		inner := s.inner(a)
		inner.reader = reader
		var o outcome
		o, count = inner.sequence(ctx, args, count)
		e, err = inner.end(o)
	case a.isConductor:
		inner := s.inner(a)
		e, err = inner.end(inner.conduct(ctx, args, &account{limit: s.c.cfg.Limits.Sequence}))
		count++
	default:
		e, err = s.invoke(ctx, a, args, reader)
		count++
	}
	return e, count, err
}

// whyNoPart is the end of a sequence whose next part cannot be had.
func (s *composition) whyNoPart(err error) outcome {
	var refused *Error
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, errCollection):
		return failure(store.StatusApplicationError, msgSequenceMissing)
	case errors.As(err, &refused):
		return failure(store.StatusApplicationError, refused.Message)
	}
	return s.whyFailed(err)
}

// whyFailed is the end of a sequence whose next part could not be run.
func (s *composition) whyFailed(err error) outcome {
	return s.broken(err, msgSequenceFailed, msgSequenceLost)
}

// hasError reports whether a result is an object with an error in it. An invoker makes
// such a result an error, but what a conductor says in the end may be any.
func hasError(result json.RawMessage) bool {
	fields := members(result)
	return fields["error"] != nil
}

// members returns the members of a JSON object; nil: it is none.
func members(value json.RawMessage) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if len(value) == 0 || value[0] != '{' || json.Unmarshal(value, &fields) != nil {
		return nil
	}
	return fields
}
