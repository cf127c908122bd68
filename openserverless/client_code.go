package openserverless

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/whiskaway/whiskaway/function"
)

// codes is a directory of code, which is needed until their server has it.
type codes struct{ dir string }

// A codeKey names code that a namespace has handed over.
type codeKey struct {
	namespace string
	digest    function.Digest
}

func (c codes) path(k codeKey) string {
	sum := sha256.Sum256([]byte(k.namespace + "\x00" + k.digest.String()))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:]))
}

// PutCode implements function.Host: the code goes to a file.
func (c *Client) PutCode(_ context.Context, namespace string, digest function.Digest, code io.Reader) error {
	if err := os.MkdirAll(c.codes.dir, 0o700); err != nil {
		return function.Errorf(function.CodeInternal, "making the directory for code: %v", err)
	}
	f, err := os.CreateTemp(c.codes.dir, "new-") // mode 0600
	if err != nil {
		return function.Errorf(function.CodeInternal, "making a file for code: %v", err)
	}
	defer os.Remove(f.Name()) // fails once the file has its name, as it should
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), code)
	if err = errors.Join(err, f.Close()); err != nil {
		return function.Errorf(function.CodeInternal, "keeping code on disk: %v", err)
	}
	if function.Digest(sum.Sum(nil)) != digest {
		return function.Errorf(function.CodeBadRequest, "the code's SHA-256 is not %s", digest)
	}
	if err := os.Rename(f.Name(), c.codes.path(codeKey{namespace, digest})); err != nil {
		return function.Errorf(function.CodeInternal, "keeping code on disk: %v", err)
	}
	return nil
}

// open returns the code, or CodeCodeMissing.
func (c codes) open(k codeKey) (*os.File, error) {
	f, err := os.Open(c.path(k))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, function.Errorf(function.CodeCodeMissing, "the code is not here; upload it first")
	case err != nil:
		return nil, function.Errorf(function.CodeInternal, "reading code back: %v", err)
	}
	return f, nil
}

// remove deletes code. What stays is gone with the directory.
func (c codes) remove(k codeKey) { os.Remove(c.path(k)) }

func (c codes) removeAll() error { return os.RemoveAll(c.dir) }
