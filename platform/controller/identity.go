package controller

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// An Identity is somebody who showed a good key.
type Identity struct {
	Subject   string
	Namespace string
	Key       string // "uuid:key", as it was shown; actions may be given it
}

// HashKey returns what is stored of a key's second half. Keys are long and random,
// so that a fast hash is enough.
func HashKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// Authenticate returns who has that key. The error is a 401 when nobody has.
func (c *Controller) Authenticate(ctx context.Context, uuid, key string) (Identity, error) {
	if uuid == runKeyUUID {
		return c.authenticateRun(ctx, key)
	}
	sub, err := c.access.subject(ctx, uuid)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Identity{}, err
	}
	// An unknown uuid takes the same way, with a hash that nothing matches. Who is blocked has no good key, as
	// in OpenWhisk.
	if subtle.ConstantTimeCompare(HashKey(key), sub.KeyHash) != 1 || sub.Blocked {
		return Identity{}, errBadKey
	}
	return Identity{Subject: sub.Name, Namespace: sub.Namespace, Key: uuid + ":" + key}, nil
}

// authenticateRun is Authenticate for the key that a run was given.
func (c *Controller) authenticateRun(ctx context.Context, key string) (Identity, error) {
	id, of, ok := c.runKeys.identity(key, time.Now())
	if !ok {
		return Identity{}, errBadKey
	}
	sub, err := c.actor(ctx, id.Subject, id.Namespace)
	var refused *Error
	switch {
	case errors.As(err, &refused):
		return Identity{}, errBadKey
	case err != nil:
		return Identity{}, err
	case keyMark(sub) != of:
		return Identity{}, errBadKey
	}
	return id, nil
}
