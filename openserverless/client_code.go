package openserverless

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/whiskaway/whiskaway/function"
)

// codes are what functions are made of, which is needed until their server has it. It is on
// disk, in files without names: nothing is left, however this process ends.
type codes struct {
	mu    sync.Mutex
	files map[codeKey]*os.File
}

// A codeKey names code that a namespace has handed over.
type codeKey struct {
	namespace string
	digest    function.Digest
}

// PutCode implements function.Host: the code goes to a file.
func (c *Client) PutCode(_ context.Context, namespace string, digest function.Digest, code io.Reader) error {
	f, err := os.CreateTemp("", "whiskaway-code-")
	if err != nil {
		return function.Errorf(function.CodeInternal, "making a file for code: %v", err)
	}
	sum := sha256.New()
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.Copy(io.MultiWriter(f, sum), code)
	}
	switch {
	case err != nil:
		err = function.Errorf(function.CodeInternal, "keeping code on disk: %v", err)
	case function.Digest(sum.Sum(nil)) != digest:
		err = function.Errorf(function.CodeBadRequest, "the code's SHA-256 is not %s", digest)
	}
	if err != nil {
		f.Close()
		return err
	}
	c.codes.keep(codeKey{namespace, digest}, f)
	return nil
}

// keep makes f the code of that key; nil drops it.
func (c *codes) keep(k codeKey, f *os.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.files[k]; old != nil {
		old.Close()
	}
	delete(c.files, k)
	if f != nil {
		c.files[k] = f
	}
}

// open returns the code, or CodeCodeMissing. It stays readable until done is called, whatever becomes
// of it here.
func (c *codes) open(k codeKey) (code *io.SectionReader, done func() error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[k]
	if f == nil {
		return nil, nil, function.Errorf(function.CodeCodeMissing, "the code is not here; upload it first")
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, function.Errorf(function.CodeInternal, "reading code back: %v", err)
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, function.Errorf(function.CodeInternal, "reading code back: %v", err)
	}
	own := os.NewFile(uintptr(fd), f.Name())
	return io.NewSectionReader(own, 0, info.Size()), own.Close, nil
}

func (c *codes) closeAll() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	clear(c.files)
	return errors.Join(errs...)
}
