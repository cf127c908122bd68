package worker

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/whiskaway/whiskaway/function"
)

// joinBelow is the size up to which a body is copied behind its header, so that
// both leave in one write.
const joinBelow = 32 << 10

// runStream marks a frame that starts a run.
const runStream = function.Result

// stdin writes runs to the process, one after another.
type stdin struct {
	file *os.File
	raw  syscall.RawConn

	mu      sync.Mutex // guards what follows, and keeps a run's bytes together
	scratch []byte
	rest    []byte // what tryWrite has not written
	wrote   int    // bytes of this run
	err     error
	once    func(fd uintptr) bool // tryWrite, made once so that no run allocates it
}

func newStdin(f *os.File) (*stdin, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("opening stdin: %w", err)
	}
	s := &stdin{file: f, raw: raw}
	s.once = s.tryWrite
	return s, nil
}

// send writes a run's input. began says whether the function may have started the
// run: our own launchers do so when they have all of it, but a plain ActionLoop
// may be satisfied with less than the whole line. It blocks when the process does not
// read; then stop is called when ctx ends, and must make it read or end.
func (s *stdin) send(ctx context.Context, framed bool, id uint32, body []byte, stop func()) (began bool, err error) {
	if !s.mu.TryLock() {
		defer watch(ctx, stop)()
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	var first, second []byte
	if framed {
		first, second = s.frame(id, body)
	} else {
		first, second = s.line(body)
	}
	s.wrote = 0
	if err = s.write(ctx, first, stop); err == nil {
		err = s.write(ctx, second, stop)
	}
	return err == nil || !framed && s.wrote > 0, err
}

// frame returns a run for our own launchers, in one piece or two.
func (s *stdin) frame(id uint32, body []byte) (first, second []byte) {
	s.scratch = append(s.scratch[:0], make([]byte, headerSize)...)
	function.PutFrameHeader(s.scratch, runStream, len(body))
	binary.BigEndian.PutUint32(s.scratch[function.FrameHeaderSize:], id)
	if len(body) > joinBelow {
		return s.scratch, body
	}
	s.scratch = append(s.scratch, body...)
	return s.scratch, nil
}

// line returns a run for a plain ActionLoop. Line ends in JSON can only be
// insignificant space, so a space does as well.
func (s *stdin) line(body []byte) (first, second []byte) {
	spaced := bytes.IndexByte(body, '\n') >= 0 || bytes.IndexByte(body, '\r') >= 0
	if len(body) > joinBelow && !spaced {
		return body, []byte{'\n'}
	}
	line := append(s.scratch[:0], body...)
	for i, c := range line {
		if spaced && (c == '\n' || c == '\r') {
			line[i] = ' '
		}
	}
	line = append(line, '\n')
	if len(body) <= joinBelow {
		s.scratch = line
	}
	return line, nil
}

// write tries without waiting first: that spares watching ctx in nearly all runs.
func (s *stdin) write(ctx context.Context, p []byte, stop func()) error {
	if len(p) == 0 {
		return nil
	}
	s.rest, s.err = p, nil
	if err := s.raw.Write(s.once); err != nil {
		return err
	}
	if s.err != nil || len(s.rest) == 0 {
		return s.err
	}
	defer watch(ctx, stop)()
	n, err := s.file.Write(s.rest)
	s.wrote += n
	return err
}

func (s *stdin) tryWrite(fd uintptr) bool {
	n, err := syscall.Write(int(fd), s.rest)
	if n > 0 {
		s.rest = s.rest[n:]
		s.wrote += n
	}
	if err != nil && err != syscall.EAGAIN && err != syscall.EINTR {
		s.err = err
	}
	return true
}

// watch calls f when ctx ends before the returned function is called, which
// waits for f.
func watch(ctx context.Context, f func()) (end func()) {
	returned := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		f()
		close(returned)
	})
	return func() {
		if !stop() {
			<-returned
		}
	}
}
