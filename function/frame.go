package function

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A Stream says what a frame carries. Streams are numbered as the function's
// own file descriptors.
type Stream byte

// The streams.
const (
	End    Stream = 0 // the run's end, with a Summary as JSON
	Stdout Stream = 1
	Stderr Stream = 2
	Result Stream = 3 // the result, or one item of a streamed one
)

// A frame is eight bytes of header (the stream, three zeros, the payload's
// length as a big-endian uint32), then the payload. That is the layout of
// Docker's attach, https://docs.docker.com/reference/api/engine/ "Stream format".
const (
	FrameHeaderSize = 8
	// MaxFrame is the largest payload, in bytes. It bounds what a reader has
	// to keep in memory.
	MaxFrame = 64 << 20
)

// PutFrameHeader writes the header of a frame with n bytes of payload into
// dst[:FrameHeaderSize].
func PutFrameHeader(dst []byte, s Stream, n int) {
	_ = dst[FrameHeaderSize-1]
	dst[0], dst[1], dst[2], dst[3] = byte(s), 0, 0, 0
	binary.BigEndian.PutUint32(dst[4:8], uint32(n))
}

// ParseFrameHeader reads a header. It refuses an unknown stream and a payload
// above MaxFrame.
func ParseFrameHeader(h []byte) (s Stream, n int, err error) {
	_ = h[FrameHeaderSize-1]
	size := binary.BigEndian.Uint32(h[4:8])
	if h[0] > byte(Result) || h[1]|h[2]|h[3] != 0 {
		return 0, 0, fmt.Errorf("not a frame header: % x", h[:FrameHeaderSize])
	}
	if size > MaxFrame {
		return 0, 0, fmt.Errorf("a frame of %d bytes is above the limit of %d", size, MaxFrame)
	}
	return Stream(h[0]), int(size), nil
}

// A FrameReader reads frames one by one. It reuses its buffer.
type FrameReader struct {
	r      io.Reader
	header [FrameHeaderSize]byte
	buf    []byte
}

// NewFrameReader returns a reader of frames from r, which should be buffered.
func NewFrameReader(r io.Reader) *FrameReader { return &FrameReader{r: r} }

// Next returns the next frame. The payload is valid until the next call. The
// error is io.EOF when the input ends between two frames, and
// io.ErrUnexpectedEOF when it ends inside one.
func (f *FrameReader) Next() (Stream, []byte, error) {
	if _, err := io.ReadFull(f.r, f.header[:]); err != nil {
		return 0, nil, err
	}
	s, n, err := ParseFrameHeader(f.header[:])
	if err != nil {
		return 0, nil, err
	}
	p, err := f.payload(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return s, p, err
}

// growStep bounds how far the buffer grows ahead of the bytes that really came,
// so that a header alone cannot make us allocate MaxFrame.
const growStep = 1 << 20

func (f *FrameReader) payload(n int) ([]byte, error) {
	if n <= cap(f.buf) {
		_, err := io.ReadFull(f.r, f.buf[:n])
		return f.buf[:n], err
	}
	f.buf = f.buf[:0]
	for len(f.buf) < n {
		step := min(n-len(f.buf), growStep)
		start := len(f.buf)
		f.buf = append(f.buf, make([]byte, step)...)
		if _, err := io.ReadFull(f.r, f.buf[start:]); err != nil {
			return nil, err
		}
	}
	return f.buf, nil
}
