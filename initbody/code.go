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

// A Code is the function's code on disk: its raw bytes. The file has no name:
// being open is enough, and leaves nothing behind however this process ends.
type Code struct {
	// Digest is the SHA-256 of the bytes.
	Digest function.Digest
	file   *os.File
	size   int64 // in bytes
}

// Open returns a reader of the code, which can be read again from anywhere.
func (c *Code) Open() (io.ReadCloser, error) {
	return codeReader{io.NewSectionReader(c.file, 0, c.size)}, nil
}

// A codeReader is one of many readers of a file that stays open.
type codeReader struct{ *io.SectionReader }

// Close does nothing.
func (codeReader) Close() error { return nil }

// Remove gives the disk's space back; that this was done already is no error.
func (c *Code) Remove() error {
	if err := c.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("removing the function's code: %w", err)
	}
	return nil
}

// newTempFile makes a file without a name in dir, which it makes if missing. An empty
// dir means the system's directory for temporary files.
func newTempFile(dir string) (*os.File, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the directory for code: %w", err)
		}
	}
	f, err := os.CreateTemp(dir, "whiskaway-code-")
	if err != nil {
		return nil, fmt.Errorf("making a file for code: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
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
	code := &Code{file: f}
	if code.Digest, code.size, err = copyCode(f, raw); err != nil {
		f.Close()
		return nil, err
	}
	return code, nil
}

// copyCode writes raw to f, and returns the digest and the size.
func copyCode(f *os.File, raw io.Reader) (digest function.Digest, size int64, err error) {
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), io.LimitReader(raw, maxCode+1))
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		return digest, 0, function.Errorf(function.CodeBadRequest, "The code is marked as binary, but it is not good base64: %v.", err)
	case err != nil:
		return digest, 0, fmt.Errorf("writing the code: %w", err)
	case size > maxCode:
		return digest, 0, errCodeTooLarge
	}
	return function.Digest(sum.Sum(nil)), size, nil
}

var errCodeTooLarge = function.Errorf(function.CodeTooLarge, "The code is above the limit of %d MB.", maxCode>>20)
