package controller

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/whiskaway/whiskaway/platform/store"
)

// components returns the full names of the sequence that exec describes, all of
// which id may read; nil: exec describes none.
func (c *Controller) components(ctx context.Context, id Identity, exec *PutExec) ([]Name, error) {
	if exec == nil || exec.Kind != kindSequence {
		return nil, nil
	}
	names, err := id.parseComponents(exec.Components)
	if err != nil {
		return nil, err
	}
	return names, c.checkAccess(ctx, id, names)
}

func (id Identity) parseComponents(text json.RawMessage) ([]Name, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, Malformed("'components' must be defined for sequence kind")
	}
	var list []json.RawMessage
	if json.Unmarshal(text, &list) != nil {
		return nil, Malformed("'components' must be an array")
	}
	names := make([]Name, 0, len(list))
	for _, item := range list {
		var ref Ref // OpenWhisk takes both forms
		var full string
		switch {
		case json.Unmarshal(item, &full) == nil:
		case json.Unmarshal(item, &ref) == nil:
			full = ref.Path + "/" + ref.Name
		default:
			return nil, Malformed("fully qualified name malformed")
		}
		name, err := id.component(full)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// checkAccess refuses actions that id may not read or invoke. Whether they are
// there is asked of their packages only.
func (c *Controller) checkAccess(ctx context.Context, id Identity, actions []Name) error {
	for _, name := range actions {
		if _, _, err := c.throughPackage(ctx, id, name); err != nil {
			return err
		}
	}
	return nil
}

// checkSequence refuses a sequence that is empty, too long with all the sequences in
// it, or a part of itself.
func (c *Controller) checkSequence(ctx context.Context, name Name, components []Name) error {
	switch {
	case len(components) == 0:
		return errSequenceEmpty
	case len(components) > c.cfg.Limits.Sequence:
		return errSequenceTooLong
	}
	check := sequenceCheck{controller: c, self: name, counts: map[Name]int{}}
	n, err := check.count(ctx, components)
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, errCollection):
		return errSequenceMissing
	case err != nil:
		return err
	case n > c.cfg.Limits.Sequence:
		return errSequenceTooLong
	}
	return nil
}

// A sequenceCheck walks through what a sequence consists of, each part once.
type sequenceCheck struct {
	controller *Controller
	self       Name
	counts     map[Name]int // of actions that are no sequences, in those seen
}

func (s *sequenceCheck) count(ctx context.Context, components []Name) (sum int, err error) {
	for _, name := range components {
		n, err := s.countOne(ctx, name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return min(sum, s.controller.cfg.Limits.Sequence+1), nil // enough is enough
}

func (s *sequenceCheck) countOne(ctx context.Context, name Name) (int, error) {
	name, err := s.controller.realName(ctx, name)
	if err != nil {
		return 0, err
	}
	if name == s.self {
		return 0, errSequenceCyclic
	}
	if n, seen := s.counts[name]; seen {
		return n, nil
	}
	s.counts[name] = 0 // a circle without self in it, if there ever were one, ends here
	e, err := get[Action](ctx, s.controller, store.Actions, name)
	if err != nil {
		return 0, err
	}
	n := 1
	if e.Doc.Exec.Kind == kindSequence {
		var inner []Name
		for _, text := range e.Doc.Exec.Components {
			part, err := parseName(text)
			if err != nil {
				return 0, err
			}
			inner = append(inner, part)
		}
		if n, err = s.count(ctx, inner); err != nil {
			return 0, err
		}
	}
	s.counts[name] = n
	return n, nil
}

// realName returns the name that a name leads to, through a binding or not, whoever
// asks: the caller has checked what may be told.
func (c *Controller) realName(ctx context.Context, name Name) (Name, error) {
	if name.Package == "" {
		return name, nil
	}
	pkg, err := get[Package](ctx, c, store.Packages, packageOf(name))
	if err != nil || pkg.Doc.Binding.isNone() {
		return name, err
	}
	to := pkg.Doc.Binding
	return Name{Namespace: to.Namespace, Package: to.Name, Name: name.Name}, nil
}
