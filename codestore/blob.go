package codestore

import (
	"crypto/sha256"
	"io"
	"os"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A Blob is code in use. It stays on disk, unchanged, until Release.
type Blob struct {
	Path string // the file with the code's bytes; read only
	Size int64  // in bytes

	release func()
}

// Release says that the code is not needed any more. Only the first call counts.
func (b *Blob) Release() { b.release() }

// Acquire returns code for use. It is function.CodeCodeMissing when namespace
// has not uploaded it, or when it is not here any more, or when the bytes on
// disk turn out to be damaged; those are removed.
func (s *Store) Acquire(namespace string, digest function.Digest) (*Blob, error) {
	e, verified := s.hold(namespace, digest)
	if e == nil {
		return nil, missing(digest)
	}
	if !verified {
		if sum, err := sumFile(s.codePath(digest)); err != nil || sum != digest {
			s.reject(e)
			return nil, missing(digest)
		}
	}
	return s.blob(e), nil
}

func missing(digest function.Digest) error {
	return function.Errorf(function.CodeCodeMissing, "the code %s is not here; upload it first", digest)
}

// hold counts one more user of the code, which keeps it on disk.
func (s *Store) hold(namespace string, digest function.Digest) (e *entry, verified bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e = s.entries[digest]
	if e == nil || !e.owners[ownerMark(namespace)] {
		return nil, false
	}
	e.users++
	s.byUse.MoveToFront(e.place)
	return e, e.verified
}

// blob hands out e, which the caller holds and has found whole.
func (s *Store) blob(e *entry) *Blob {
	path := s.codePath(e.digest)
	now := time.Now()
	os.Chtimes(path, now, now) // for the order after a restart; no harm if it fails
	s.mu.Lock()
	defer s.mu.Unlock()
	e.verified = true
	return &Blob{Path: path, Size: e.size, release: sync.OnceFunc(func() { s.letGo(e) })}
}

// reject gives e up: its bytes are damaged. An upload may have healed it while
// they were read; then it stays.
func (s *Store) reject(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.users--
	if e.verified || s.entries[e.digest] != e {
		return
	}
	clear(e.owners) // nobody finds it any more
	if e.users == 0 {
		s.forget(e)
	}
}

func (s *Store) letGo(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.users--
}

func sumFile(path string) (function.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return function.Digest{}, err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return function.Digest{}, err
	}
	return function.Digest(hash.Sum(nil)), nil
}
