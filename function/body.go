package function

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// A Body is a run's input, kept so that it can be read more than once: a run
// that a host refuses is tried elsewhere with the same bytes. Small bodies are
// in memory, large ones in a file that has no name.
type Body struct {
	data []byte
	file *os.File
	size int64
}

// BodyLimits bound what ReadBody takes, in bytes.
type BodyLimits struct {
	Memory int64 // above this the body is spilled to a file
	Max    int64 // above this it is refused with CodeTooLarge
}

// DefaultBodyLimits keep 4 MB in memory and take up to 64 MB; OpenWhisk's own
// limit for parameters is 1 MB by default.
var DefaultBodyLimits = BodyLimits{Memory: 4 << 20, Max: 64 << 20}

// BytesBody returns a body of b, which must not change any more.
func BytesBody(b []byte) Body { return Body{data: b, size: int64(len(b))} }

// ReadBody reads all of r. size is what the sender announced, or -1. The caller
// must Close the body.
func ReadBody(r io.Reader, size int64, limits BodyLimits) (Body, error) {
	if size > limits.Max {
		return Body{}, tooLarge(size, limits.Max)
	}
	if size >= 0 && size <= limits.Memory {
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return Body{}, cut(err)
		}
		return BytesBody(data), nil
	}
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(r, limits.Memory+1))
	if err != nil {
		return Body{}, cut(err)
	}
	if n <= limits.Memory {
		return BytesBody(buf.Bytes()), nil
	}
	return spill(io.MultiReader(&buf, r), limits.Max)
}

func spill(r io.Reader, limit int64) (Body, error) {
	f, err := os.CreateTemp("", "whiskaway-body-")
	if err != nil {
		return Body{}, Errorf(CodeInternal, "keeping a large body on disk: %v", err)
	}
	os.Remove(f.Name()) // the open file is enough, and leaves nothing behind
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = tooLarge(n, limit)
	}
	if err != nil {
		f.Close()
		var known *Error
		if errors.As(err, &known) {
			return Body{}, known
		}
		return Body{}, cut(err)
	}
	return Body{file: f, size: n}, nil
}

func tooLarge(size, limit int64) *Error {
	return Errorf(CodeTooLarge, "the input has %d bytes or more, the limit is %d", size, limit)
}

func cut(err error) *Error {
	return Errorf(CodeBadRequest, "the input ended early: %v", err)
}

// Len returns the number of bytes.
func (b Body) Len() int64 { return b.size }

// Open returns a new reader from the first byte on.
func (b Body) Open() io.Reader {
	if b.file != nil {
		return io.NewSectionReader(b.file, 0, b.size)
	}
	return bytes.NewReader(b.data)
}

// Bytes returns all of it. The slice is the body's own when it is in memory:
// do not change it.
func (b Body) Bytes() ([]byte, error) {
	if b.file == nil {
		return b.data, nil
	}
	data := make([]byte, b.size)
	if _, err := io.ReadFull(b.Open(), data); err != nil {
		return nil, fmt.Errorf("reading a body back: %w", err)
	}
	return data, nil
}

// Close frees the file, if there is one.
func (b Body) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}
