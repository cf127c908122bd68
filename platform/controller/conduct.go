package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/whiskaway/whiskaway/platform/store"
)

// isConducting says that the action's composition is a conductor's: the annotation
// has no effect on a sequence.
func (a *ResolvedAction) isConducting() bool { return a.isConductor && !a.isSequence }

// isComposition says that to invoke the action is to invoke others.
func (a *ResolvedAction) isComposition() bool { return a.isSequence || a.isConductor }

// conduct invokes a conductor and the components that it names, in turn, until it
// names none.
func (s *composition) conduct(ctx context.Context, args json.RawMessage, counts *account) outcome {
	k := conducting{account: counts}
	next := k.next(args)
	for next.end == nil {
		var err error
		if next.conduct != nil {
			var e ended
			if e, err = s.invoke(ctx, s.action, next.conduct, nil); err == nil {
				s.add(e)
				next = k.conducted(e.outcome)
			}
		} else {
			next, err = s.component(ctx, &k, next)
		}
		if err != nil {
			return s.broken(err, msgCompositionFailed, msgCompositionLost)
		}
	}
	return *next.end
}

// component invokes what the conductor named, or tells it why not.
func (s *composition) component(ctx context.Context, k *conducting, m move) (move, error) {
	name, why := s.by.componentName(m.component)
	if why != "" {
		return k.refused(why), nil
	}
	a, err := s.c.resolve(ctx, s.by, name)
	var refused *Error
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, errCollection):
		return k.refused(fmt.Sprintf(msgComponentMissing, fullName(name))), nil
	case errors.As(err, &refused):
		return k.refused(fmt.Sprintf(msgComponentForbidden, fullName(name))), nil
	case err != nil:
		return move{}, err
	case s.depth >= s.c.cfg.Limits.Sequence && a.isComposition():
		return k.refused(msgCompositionTooLong), nil
	}
	e, err := s.runComponent(ctx, k.account, a, m.args)
	if err != nil {
		return move{}, err
	}
	s.add(e)
	return k.next(e.result), nil
}

// runComponent runs a component. A conductor in a conductor shares its account and
// is no component itself; a sequence is one, however long it is.
func (s *composition) runComponent(ctx context.Context, counts *account, a *ResolvedAction, args json.RawMessage) (ended, error) {
	if a.isConducting() {
		inner := s.inner(a)
		return inner.end(inner.conduct(ctx, args, counts))
	}
	counts.components++
	if !a.isSequence {
		return s.invoke(ctx, a, args, nil)
	}
	inner := s.inner(a)
	o, _ := inner.sequence(ctx, args, 0)
	return inner.end(o)
}

// broken is the end of a composition by the platform's own fault.
func (s *composition) broken(err error, failed, timedOut string) outcome {
	var late lost
	var refused *Error
	switch {
	case errors.As(err, &late):
		s.log.parts = append(s.log.parts, late.id)
		return failure(store.StatusWhiskError, fmt.Sprintf(timedOut, late.id))
	case errors.Is(err, errEndless):
		return failure(store.StatusApplicationError, msgCompositionTooLong)
	case errors.Is(err, errStopping), s.c.composing.Err() != nil:
		return failure(store.StatusWhiskError, failed+" The platform was stopped before it ended.")
	case errors.As(err, &refused):
		return failure(store.StatusWhiskError, failed+" "+refused.Message)
	}
	s.c.log.Error("a part of a composition could not be invoked", "activation", s.id, "error", err)
	return failure(store.StatusWhiskError, failed)
}
