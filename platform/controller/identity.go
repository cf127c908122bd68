package controller

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
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

// subjectsFor is how long a subject is remembered without asking the store.
const subjectsFor = 5 * time.Second

// subjects remembers who was asked for lately. Only subjects that exist are
// remembered, so it cannot be filled by guessing.
type subjects struct {
	store store.Store
	known sync.Map // uuid -> rememberedSubject
}

type rememberedSubject struct {
	store.Subject
	until time.Time
}

func (s *subjects) get(ctx context.Context, uuid string) (store.Subject, error) {
	if v, ok := s.known.Load(uuid); ok {
		if r := v.(rememberedSubject); time.Now().Before(r.until) {
			return r.Subject, nil
		}
	}
	sub, err := s.store.Subject(ctx, uuid)
	if err != nil {
		s.known.Delete(uuid)
		return sub, err
	}
	s.known.Store(uuid, rememberedSubject{sub, time.Now().Add(subjectsFor)})
	return sub, nil
}

// Authenticate returns who has that key. The error is a 401 when nobody has.
func (c *Controller) Authenticate(ctx context.Context, uuid, key string) (Identity, error) {
	sub, err := c.subjects.get(ctx, uuid)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Identity{}, err
	}
	// An unknown uuid takes the same way, with a hash that nothing matches.
	if subtle.ConstantTimeCompare(HashKey(key), sub.KeyHash) != 1 {
		return Identity{}, errBadKey
	}
	return Identity{Subject: sub.Name, Namespace: sub.Namespace, Key: uuid + ":" + key}, nil
}
