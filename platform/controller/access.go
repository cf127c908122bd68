package controller

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// accessFor is how long what is known of subjects and limits is taken for true without asking the store whether it
// changed. A key that was removed or blocked by the command line is refused after it.
const accessFor = time.Second

// maxAccess bounds how many subjects, and namespaces' limits, are remembered.
const maxAccess = 100_000

// access remembers who may call and what their namespaces may have, until the store says that something of it was
// changed. Only subjects that exist are remembered, so it cannot be filled by guessing.
type access struct {
	store   store.Store
	changed func() // called after a change

	mu       sync.RWMutex
	checked  time.Time
	version  int64
	subjects map[string]store.Subject // by uuid
	limits   map[string]store.NamespaceLimits
}

// fresh returns when what is remembered is as the store has it, or had it a moment ago.
func (a *access) fresh(ctx context.Context) error {
	a.mu.RLock()
	known := time.Since(a.checked) < accessFor
	a.mu.RUnlock()
	if known {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.checked) < accessFor { // somebody else has asked meanwhile
		return nil
	}
	now := time.Now()
	version, err := a.store.AccessVersion(ctx)
	if err != nil {
		return err
	}
	if a.checked = now; version != a.version {
		a.version, a.subjects, a.limits = version, nil, nil
		a.changed()
	}
	return nil
}

func (a *access) subject(ctx context.Context, uuid string) (store.Subject, error) {
	return remembered(ctx, a, &a.subjects, uuid, a.store.Subject)
}

func (a *access) limitsOf(ctx context.Context, namespace string) (store.NamespaceLimits, error) {
	return remembered(ctx, a, &a.limits, namespace, a.store.NamespaceLimits)
}

// remembered returns what is known by a key, or else reads it. What was read before a change is not remembered
// after it.
func remembered[T any](ctx context.Context, a *access, known *map[string]T, key string, read func(context.Context, string) (T, error)) (T, error) {
	var none T
	if err := a.fresh(ctx); err != nil {
		return none, err
	}
	a.mu.RLock()
	value, ok := (*known)[key]
	version := a.version
	a.mu.RUnlock()
	if ok {
		return value, nil
	}
	value, err := read(ctx, key)
	if err != nil {
		return none, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if version != a.version {
		return value, nil
	}
	if *known == nil || len(*known) >= maxAccess {
		*known = map[string]T{}
	}
	(*known)[key] = value
	return value, nil
}

// An Allowance is what a namespace and its actions may have.
type Allowance struct {
	Limits
	Kinds            []string // that its actions may have; nil: all
	StoreActivations bool
}

// Allowance returns what a namespace may have: what everybody has, but for limits of its own. Those never reach
// beyond what the platform allows.
func (c *Controller) Allowance(ctx context.Context, namespace string) (Allowance, error) {
	own, err := c.access.limitsOf(ctx, namespace)
	if err != nil {
		return Allowance{}, err
	}
	a := c.cfg.Limits.with(own)
	a.Kinds = c.resolveKinds(a.Kinds)
	return a, nil
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
