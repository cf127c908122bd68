package docker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Docker's frames of an attached stream: a header with the stream's number, three zeros and
// the length of what follows.
const (
	frameHeader = 8
	frameStdout = 1
	frameStderr = 2
)

// demultiplex copies the frames of r to the two writers, until r ends. A writer that takes
// nothing any more is passed over. The error is nil at the end of r between two frames.
func demultiplex(r io.Reader, stdout, stderr io.Writer) error {
	in := bufio.NewReaderSize(r, 32<<10)
	out := [...]*careless{frameStdout: {w: stdout}, frameStderr: {w: stderr}}
	var header [frameHeader]byte
	for {
		if _, err := io.ReadFull(in, header[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a container's output: %w", err)
		}
		stream := int(header[0])
		if stream != frameStdout && stream != frameStderr {
			return fmt.Errorf("reading a container's output: there is no stream %d", stream)
		}
		length := int64(binary.BigEndian.Uint32(header[4:]))
		if _, err := io.CopyN(out[stream], in, length); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("reading a container's output: %w", err)
		}
	}
}

// A careless writer goes on when what it writes to does not.
type careless struct {
	w    io.Writer
	gone bool
}

func (c *careless) Write(p []byte) (int, error) {
	if !c.gone {
		_, err := c.w.Write(p)
		c.gone = err != nil
	}
	return len(p), nil
}
