package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// NamespaceLimits are what a namespace and its actions may have where that is not what everybody
// has; nil: it is. The names are those of OpenWhisk's limits documents. A count of Unlimited is no limit.
type NamespaceLimits struct {
	InvocationsPerMinute  *int     `json:"invocationsPerMinute,omitempty"`
	ConcurrentInvocations *int     `json:"concurrentInvocations,omitempty"`
	FiresPerMinute        *int     `json:"firesPerMinute,omitempty"`
	AllowedKinds          []string `json:"allowedKinds,omitempty"`
	StoreActivations      *bool    `json:"storeActivations,omitempty"`
	MaxActionMemory       *int     `json:"maxActionMemory,omitempty"`  // megabytes
	MaxActionTimeout      *int     `json:"maxActionTimeout,omitempty"` // milliseconds
	MaxActionLogs         *int     `json:"maxActionLogs,omitempty"`    // megabytes
	MaxActionConcurrency  *int     `json:"maxActionConcurrency,omitempty"`
}

// Unlimited is the count that is no limit.
const Unlimited = -1

// A Holding is how much a namespace has in the store.
type Holding struct {
	Entities    map[Collection]int
	Activations int
}

// Namespaces keeps what is known of namespaces themselves. A namespace is there as long as a subject has a key
// for it, or anything is in it.
type Namespaces interface {
	// NamespaceLimits returns what was set; a namespace without limits of its own has the zero value.
	NamespaceLimits(ctx context.Context, namespace string) (NamespaceLimits, error)
	// SetNamespaceLimits replaces them. It changes AccessVersion.
	SetNamespaceLimits(ctx context.Context, namespace string, l NamespaceLimits) error
	// Holding counts what a namespace has.
	Holding(ctx context.Context, namespace string) (Holding, error)
	// ClearNamespace removes all entities, alarms, API routes, activations and limits of a namespace. Code can be read for
	// some minutes more. It changes AccessVersion.
	ClearNamespace(ctx context.Context, namespace string) error
}

// NamespaceLimits implements Namespaces.
func (s *Database) NamespaceLimits(ctx context.Context, namespace string) (l NamespaceLimits, err error) {
	var text []byte
	err = s.reader().row(ctx, "SELECT limits FROM namespaces WHERE name = ?", namespace).Scan(&text)
	if errors.Is(err, ErrNotFound) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("reading a namespace's limits: %w", err)
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("the stored limits of the namespace %s: %w", namespace, err)
	}
	return l, nil
}

// SetNamespaceLimits implements Namespaces.
func (s *Database) SetNamespaceLimits(ctx context.Context, namespace string, l NamespaceLimits) error {
	text, err := Encode(l)
	if err != nil {
		return fmt.Errorf("encoding a namespace's limits: %w", err)
	}
	return s.changeAccess(ctx, func(tx queryer) error {
		_, err := tx.exec(ctx,
			"INSERT INTO namespaces (name, limits) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET limits = excluded.limits", namespace, text)
		if err != nil {
			return fmt.Errorf("writing a namespace's limits: %w", err)
		}
		return nil
	})
}

// Holding implements Namespaces.
func (s *Database) Holding(ctx context.Context, namespace string) (Holding, error) {
	h := Holding{Entities: map[Collection]int{}}
	type count struct {
		in Collection
		n  int
	}
	read := func(scan func(...any) error) (c count, err error) { return c, scan(&c.in, &c.n) }
	counts, err := all(ctx, s.reader(), read, "SELECT collection, count(*) FROM entities WHERE namespace = ? GROUP BY collection", namespace)
	if err != nil {
		return h, fmt.Errorf("counting a namespace's entities: %w", err)
	}
	for _, c := range counts {
		h.Entities[c.in] = c.n
	}
	h.Activations, err = s.CountActivations(ctx, Filter{Namespace: namespace})
	return h, err
}

// ClearNamespace implements Namespaces.
func (s *Database) ClearNamespace(ctx context.Context, namespace string) error {
	return s.changeAccess(ctx, func(tx queryer) error {
		_, err := tx.exec(ctx, "UPDATE code SET released = ? WHERE id IN (SELECT code_id FROM entities WHERE namespace = ?)",
			time.Now().UnixMilli(), namespace)
		if err != nil {
			return fmt.Errorf("releasing a namespace's code: %w", err)
		}
		// The counts come before what they count: who writes records meanwhile waits for us there, and counts anew.
		for _, statement := range []string{
			"DELETE FROM entities WHERE namespace = ?", "DELETE FROM alarms WHERE namespace = ?", "DELETE FROM apis WHERE namespace = ?",
			"DELETE FROM activation_counts WHERE namespace = ?", "DELETE FROM activations WHERE namespace = ?",
			"DELETE FROM namespaces WHERE name = ?",
		} {
			if _, err := tx.exec(ctx, statement, namespace); err != nil {
				return fmt.Errorf("clearing a namespace: %w", err)
			}
		}
		return nil
	})
}
