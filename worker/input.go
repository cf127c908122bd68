package worker

import (
	"bytes"
	"errors"
	"io"
)

// Sizes of the buffer for answers, in bytes: most fit into the first; one that
// grew above the second is given back after use.
const (
	smallBuffer = 64 << 10
	largeBuffer = 1 << 20
)

// An input is a buffered reader that hands out what it read without copying.
type input struct {
	r          io.Reader
	buf        []byte
	start, end int // buf[start:end] was read, and not yet taken
}

func newInput(r io.Reader) *input { return &input{r: r, buf: make([]byte, smallBuffer)} }

// peek returns the next n bytes, which stay valid until the next call.
func (in *input) peek(n int) ([]byte, error) {
	for in.end-in.start < n {
		if err := in.fill(n); err != nil {
			return nil, err
		}
	}
	return in.buf[in.start : in.start+n], nil
}

// fill reads once. n is how many bytes will be asked for; the buffer grows
// towards that only as bytes really come.
func (in *input) fill(n int) error {
	have := in.end - in.start
	if in.start > 0 && in.start+n > len(in.buf) {
		copy(in.buf, in.buf[in.start:in.end])
		in.start, in.end = 0, have
	}
	if in.end == len(in.buf) {
		grown := make([]byte, min(2*len(in.buf), max(n, len(in.buf)+smallBuffer)))
		copy(grown, in.buf[:in.end])
		in.buf = grown
	}
	k, err := in.r.Read(in.buf[in.end:])
	in.end += k
	if k > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// discard takes n bytes that were peeked.
func (in *input) discard(n int) {
	in.start += n
	if in.start < in.end {
		return
	}
	in.start, in.end = 0, 0
	if len(in.buf) > largeBuffer {
		in.buf = make([]byte, smallBuffer)
	}
}

// skip takes n bytes without keeping them.
func (in *input) skip(n int64) error {
	for n > 0 {
		if in.start == in.end {
			if _, err := in.peek(1); err != nil {
				return err
			}
		}
		k := min(n, int64(in.end-in.start))
		in.discard(int(k))
		n -= k
	}
	return nil
}

var errTooLong = errors.New("the line is too long")

// line takes the next line and returns it without its end; it stays valid until
// the next call. A line of more than limit bytes is passed over, with errTooLong.
func (in *input) line(limit int) ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(in.buf[in.start+seen:in.end], '\n'); i >= 0 {
			line := in.buf[in.start : in.start+seen+i]
			in.discardLine(len(line) + 1)
			if len(line) > limit {
				return nil, errTooLong
			}
			return line, nil
		}
		if seen = in.end - in.start; seen > limit {
			return nil, in.skipLine()
		}
		if err := in.fill(seen + 1); err != nil {
			return nil, err
		}
	}
}

// discardLine is discard, but leaves the buffer alone while the line is in use.
func (in *input) discardLine(n int) {
	in.start += n
	if in.start == in.end && len(in.buf) <= largeBuffer {
		in.start, in.end = 0, 0
	}
}

func (in *input) skipLine() error {
	for {
		i := bytes.IndexByte(in.buf[in.start:in.end], '\n')
		if i >= 0 {
			in.discard(i + 1)
			return errTooLong
		}
		in.discard(in.end - in.start)
		if err := in.fill(1); err != nil {
			return err
		}
	}
}
