package controller

import (
	"context"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// accessFor is how long what is known of subjects and limits is taken for true without asking the store whether it
// changed. A key that was removed or blocked by the command line is refused after it.
const accessFor = time.Second

// accessAgain is how long nobody asks again after an answer that was an error: those who waited for it meanwhile would
// otherwise wait for one of their own each, one after the other.
const accessAgain = 200 * time.Millisecond

// maxAccess bounds how many subjects, and namespaces' limits, are remembered.
const maxAccess = 100_000

// access remembers who may call and what their namespaces may have, until the store says that something of it was
// changed. It holds a bounded number of each, whoever guesses names.
type access struct {
	store   store.Store
	changed func() // called after a change

	mu       sync.RWMutex
	checked  time.Time
	version  int64
	failed   time.Time // when the last answer was why
	why      error
	subjects map[string]store.Subject   // by uuid
	limits   map[string]Allowance       // by namespace
	owners   map[string][]store.Subject // by namespace; empty for one that is nobody's
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
	if time.Since(a.failed) < accessAgain {
		return a.why
	}
	now := time.Now()
	version, err := a.store.AccessVersion(ctx)
	if err != nil && ctx.Err() == nil {
		a.failed, a.why = time.Now(), err
	}
	if err != nil {
		return err
	}
	if a.checked = now; version != a.version {
		a.version, a.subjects, a.limits, a.owners = version, nil, nil, nil
		a.changed()
	}
	return nil
}

func (a *access) subject(ctx context.Context, uuid string) (store.Subject, error) {
	return remembered(ctx, a, &a.subjects, uuid, a.store.Subject)
}

func (a *access) ownersOf(ctx context.Context, namespace string) ([]store.Subject, error) {
	return remembered(ctx, a, &a.owners, namespace, func(ctx context.Context, namespace string) ([]store.Subject, error) {
		return a.store.Subjects(ctx, "", namespace)
	})
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

// ownerOf returns on whose behalf a namespace's actions are invoked when nobody shows a key: that of a subject who has
// one for it and is not blocked, the one of the namespace's own name if there is such. There is no key in it: keys are
// not kept in clear. Without such a subject it is errNotFound.
func (c *Controller) ownerOf(ctx context.Context, namespace string) (Identity, error) {
	list, err := c.access.ownersOf(ctx, namespace)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Namespace: namespace}
	for _, sub := range list {
		if !sub.Blocked && (id.Subject == "" || sub.Name == namespace) {
			id.Subject = sub.Name
		}
	}
	if id.Subject == "" {
		return Identity{}, errNotFound
	}
	return id, nil
}

// MayAct returns nil when that subject has a key for the namespace and is not blocked, and a 403 otherwise: things
// that go on when nobody shows a key, such as alarms, ask so.
func (c *Controller) MayAct(ctx context.Context, subject, namespace string) error {
	_, err := c.actor(ctx, subject, namespace)
	return err
}

// actor returns the subject of that name who has a key for the namespace and is not blocked; else the error is a 403.
func (c *Controller) actor(ctx context.Context, subject, namespace string) (store.Subject, error) {
	list, err := c.access.ownersOf(ctx, namespace)
	if err != nil {
		return store.Subject{}, err
	}
	for _, sub := range list {
		if sub.Name == subject && !sub.Blocked {
			return sub, nil
		}
	}
	return store.Subject{}, NotAuthorized(namespace)
}
