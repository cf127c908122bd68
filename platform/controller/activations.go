package controller

import (
	"context"

	"github.com/whiskaway/whiskaway/platform/store"
)

// Activation returns a record.
func (c *Controller) Activation(ctx context.Context, namespace, id string) (*store.Activation, error) {
	a, err := c.store.Activation(ctx, namespace, id)
	return a, stored(err)
}

// Activations lists records, the youngest first.
func (c *Controller) Activations(ctx context.Context, f store.Filter) ([]*store.Activation, error) {
	return c.store.Activations(ctx, f)
}

// CountActivations returns how many records f chooses, less f.Skip.
func (c *Controller) CountActivations(ctx context.Context, f store.Filter) (int, error) {
	n, err := c.store.CountActivations(ctx, f)
	return max(n-f.Skip, 0), err
}
