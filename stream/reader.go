package stream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// A Reader reads Server-Sent Events as a Writer writes them.
type Reader struct {
	in   *bufio.Reader
	most int
	data []byte
}

// NewReader returns a reader of what in holds. An event may have up to most bytes.
func NewReader(in io.Reader, most int) *Reader {
	return &Reader{in: bufio.NewReader(in), most: most}
}

var (
	errTooLong = errors.New("an event of the stream is too long")
	errOdd     = errors.New("the stream holds what is no event of ours")
)

// Next returns the next event. data is valid until the next call. The error is io.EOF
// at the end of the input, also where the event end has not come.
func (r *Reader) Next() (name string, data []byte, err error) {
	r.data = r.data[:0]
	found := false
	for {
		line, err := r.line()
		switch {
		case err != nil:
			return "", nil, err
		case len(line) == 0 && found:
			return name, r.data, nil
		case len(line) == 0 || line[0] == ':':
			continue
		}
		key, value, _ := bytes.Cut(line, []byte(": "))
		switch string(key) {
		case "event":
			name = string(value)
		case "data":
			if found {
				return "", nil, errOdd
			}
			found = true
			r.data = append(r.data, value...)
		default:
			return "", nil, errOdd
		}
	}
}

// line returns a line without its end. It is valid until the next call.
func (r *Reader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	whole := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(whole) > r.most {
			return nil, errTooLong
		}
		line, err = r.in.ReadSlice('\n')
		whole = append(whole, line...)
	}
	if err == io.EOF && len(whole) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return whole[:len(whole)-1], nil
}
