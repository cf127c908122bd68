package initbody

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/whiskaway/whiskaway/function"
)

// maxCode is the largest code in bytes: what OpenWhisk takes by default.
const maxCode = 48 << 20

// A Code is the function's code on disk: its raw bytes.
type Code struct {
	// Digest is the SHA-256 of the bytes.
	Digest function.Digest
	path   string
}

// Open returns a reader of the code.
func (c *Code) Open() (io.ReadCloser, error) { return os.Open(c.path) }

// Remove deletes the file; that it is gone already is no error.
func (c *Code) Remove() error {
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the function's code: %w", err)
	}
	return nil
}

// newTempFile makes a file for code in dir, which it makes if missing. Only
// this user may read it.
func newTempFile(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for code: %w", err)
	}
	f, err := os.CreateTemp(dir, "code-")
	if err != nil {
		return nil, fmt.Errorf("making a file for code: %w", err)
	}
	return f, nil
}

// keepCode turns text, the "code" field as it was sent, into a Code in dir.
// Binary code is base64. text is read from its beginning, and is the caller's.
func keepCode(dir string, text *os.File, binary bool) (*Code, error) {
	if _, err := text.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the code back: %w", err)
	}
	var raw io.Reader = text
	if binary {
		raw = base64.NewDecoder(base64.StdEncoding, text)
	}
	f, err := newTempFile(dir)
	if err != nil {
		return nil, err
	}
	code := &Code{path: f.Name()}
	code.Digest, err = copyCode(f, raw)
	if err == nil {
		return code, nil
	}
	os.Remove(f.Name())
	return nil, err
}

// copyCode writes raw to f, closes it, and returns the digest.
func copyCode(f *os.File, raw io.Reader) (digest function.Digest, err error) {
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("writing the code: %w", closeErr)
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(raw, maxCode+1))
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		return digest, function.Errorf(function.CodeBadRequest, "The code is marked as binary, but it is not good base64: %v.", err)
	case err != nil:
		return digest, fmt.Errorf("writing the code: %w", err)
	case n > maxCode:
		return digest, errCodeTooLarge
	}
	return function.Digest(sum.Sum(nil)), nil
}

var errCodeTooLarge = function.Errorf(function.CodeTooLarge, "The code is above the limit of %d MB.", maxCode>>20)
