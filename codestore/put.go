package codestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// fullRetry is how long to wait when everything in the store is in use.
const fullRetry = 5 * time.Second

// Put stores the bytes of code for namespace. They are read once, written to a
// file of their own, and kept only when their SHA-256 is digest: otherwise the
// error's code is function.CodeBadRequest. Code above MaxCode, or above the
// whole store, is CodeTooLarge; CodeBusy says that the store is full of code
// in use. Also who uploads what is here already must send all of the right
// bytes: knowing a digest gives no right.
func (s *Store) Put(ctx context.Context, namespace string, digest function.Digest, code io.Reader) (err error) {
	coming := s.arrive(wanted{ownerMark(namespace), digest})
	defer func() { coming.end(err) }()
	temp, err := os.MkdirTemp(s.dir, tempStart)
	if err != nil {
		return function.Errorf(function.CodeInternal, "storing code: %v", err)
	}
	defer os.RemoveAll(temp) // nothing is there any more when all went well
	in := &contextReader{ctx: ctx, r: code, got: coming.got}
	size, err := s.receive(filepath.Join(temp, codeFile), digest, in)
	if err != nil {
		return err
	}
	return s.adopt(temp, namespace, digest, size)
}

// receive writes code to path and checks it.
func (s *Store) receive(path string, digest function.Digest, in *contextReader) (int64, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, function.Errorf(function.CodeInternal, "storing code: %v", err)
	}
	defer f.Close()
	limit := min(MaxCode, s.maxBytes)
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(in, limit+1))
	switch {
	case in.err != nil:
		return 0, cutOff(in.err)
	case err != nil:
		return 0, function.Errorf(function.CodeInternal, "storing code: %v", err)
	case size > limit:
		return 0, function.Errorf(function.CodeTooLarge, "the code has more than %d bytes, which is the limit", limit)
	}
	if got := function.Digest(hash.Sum(nil)); got != digest {
		return 0, function.Errorf(function.CodeBadRequest, "the code's SHA-256 is %s, announced was %s", got, digest)
	}
	if err := f.Close(); err != nil {
		return 0, function.Errorf(function.CodeInternal, "storing code: %v", err)
	}
	return size, nil
}

// cutOff says why the sender's bytes ended early.
func cutOff(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return function.AsError(err)
	}
	return function.Errorf(function.CodeBadRequest, "the code ended early: %v", err)
}

// adopt makes the verified bytes in temp the store's own, or only notes the
// namespace when the same bytes are here already.
func (s *Store) adopt(temp, namespace string, digest function.Digest, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[digest]
	if e == nil {
		if !s.evict(size) {
			busy := function.Errorf(function.CodeBusy, "the code store is full, and all of it is in use; try again later")
			busy.RetryAfter = fullRetry
			return busy
		}
		if err := os.Rename(temp, s.entryDir(digest)); err != nil {
			return function.Errorf(function.CodeInternal, "storing code: %v", err)
		}
		e = &entry{digest: digest, size: size, verified: true, owners: map[string]bool{}}
		s.insert(e)
	} else if err := s.heal(e, temp); err != nil {
		return function.Errorf(function.CodeInternal, "storing code: %v", err)
	}
	if err := s.own(e, ownerMark(namespace)); err != nil {
		return function.Errorf(function.CodeInternal, "storing code: %v", err)
	}
	return nil
}

// heal replaces bytes that nobody has verified since the start by those that
// just were, and marks e as used.
func (s *Store) heal(e *entry, temp string) error {
	s.byUse.MoveToFront(e.place)
	if e.verified {
		return nil
	}
	if err := os.Rename(filepath.Join(temp, codeFile), s.codePath(e.digest)); err != nil {
		return fmt.Errorf("replacing the stored bytes: %w", err)
	}
	info, err := os.Stat(s.codePath(e.digest))
	if err != nil {
		return err
	}
	s.bytes += info.Size() - e.size
	e.size, e.verified = info.Size(), true
	return nil
}

// own notes that a namespace uploaded e, here and on disk.
func (s *Store) own(e *entry, mark string) error {
	if e.owners[mark] {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(s.entryDir(e.digest), mark), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	e.owners[mark] = true
	return f.Close()
}

// A contextReader ends with its context, and remembers why it ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
	got func(n int) // is told of each piece
	err error       // what the reader failed with; nil at the plain end
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		c.err = err
		return 0, err
	}
	n, err := c.r.Read(p)
	c.got(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
