package controller

import (
	"context"
	"net/http"
	"slices"

	"github.com/whiskaway/whiskaway/platform/store"
)

// An Allowance is what a namespace and its actions may have.
type Allowance struct {
	Limits
	Kinds            []string // that its actions may have; nil: all
	StoreActivations bool
}

// Allowance returns what a namespace may have: what everybody has, but for limits of its own. Those never reach
// beyond what the platform allows.
func (c *Controller) Allowance(ctx context.Context, namespace string) (Allowance, error) {
	return remembered(ctx, &c.access, &c.access.limits, namespace, func(ctx context.Context, namespace string) (Allowance, error) {
		own, err := c.store.NamespaceLimits(ctx, namespace)
		if err != nil {
			return Allowance{}, err
		}
		a := c.cfg.Limits.with(own)
		a.Kinds = c.resolveKinds(a.Kinds)
		return a, nil
	})
}

// resolveKinds returns what kinds stand for, such as python:3 for python. One that is not known stays, and allows nothing.
func (c *Controller) resolveKinds(names []string) []string {
	if names == nil {
		return nil
	}
	kinds := []string{}
	for _, name := range names {
		kind, err := c.resolveKind(name)
		if err != nil {
			kind = name
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// with returns l with a namespace's own limits.
func (l Limits) with(own store.NamespaceLimits) Allowance {
	a := Allowance{Limits: l, Kinds: own.AllowedKinds, StoreActivations: own.StoreActivations == nil || *own.StoreActivations}
	for _, one := range []struct{ to, from *int }{
		{&a.PerMinute, own.InvocationsPerMinute}, {&a.Concurrent, own.ConcurrentInvocations}, {&a.FiresPerMinute, own.FiresPerMinute},
	} {
		if one.from != nil {
			*one.to = *one.from
		}
	}
	for _, one := range []struct {
		to   *Range
		from *int
	}{
		{&a.Memory, own.MaxActionMemory}, {&a.Timeout, own.MaxActionTimeout}, {&a.Logs, own.MaxActionLogs}, {&a.Concurrency, own.MaxActionConcurrency},
	} {
		if one.from != nil {
			one.to.Max = max(min(*one.from, one.to.Max), one.to.Min)
			one.to.Default = min(one.to.Default, one.to.Max)
		}
	}
	return a
}

// checkKind refuses a kind that the namespace may not have.
func (a Allowance) checkKind(kind string) error {
	if a.Kinds == nil || slices.Contains(a.Kinds, kind) {
		return nil
	}
	return Refuse(http.StatusForbidden, "The supplied authentication is not authorized to access actions of kind '%s'.", kind)
}
