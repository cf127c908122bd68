package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// joinBelow is the size up to which a body is copied behind its header, so that
// both leave in one write.
const joinBelow = 32 << 10

// The streams of frames to the process.
const (
	runStream    = function.Result
	cancelStream = function.End
	holdStream   = function.Stdout
	goOnStream   = function.Stderr
)

// stdin writes runs to the process, one after another.
type stdin struct {
	file *os.File
	raw  syscall.RawConn
	turn chan struct{} // holds a token while nobody writes; who took it owns what follows

	scratch []byte
	rest    []byte // what tryWrite has not written
	wrote   int    // bytes of this run
	err     error
	broken  bool                  // a run was cut while only a part of it was written
	once    func(fd uintptr) bool // tryWrite, made once so that no run allocates it
}

// Why a run was not written, or not all of it. After errPartly nothing else can be.
var (
	errUnsent = errors.New("a run was cut before it was written, or an earlier one while it was")
	errPartly = errors.New("a run was cut while it was written")
)

func newStdin(f *os.File) (*stdin, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("opening stdin: %w", err)
	}
	s := &stdin{file: f, raw: raw, turn: make(chan struct{}, 1)}
	s.once = s.tryWrite
	s.turn <- struct{}{}
	return s, nil
}

// patience waits for event and returns true, or false when it is no longer worth
// waiting. Event holds one value.
type patience func(event <-chan struct{}) bool

// send writes a run's input. began says whether the function may have started the
// run: our own launchers do so when they have all of it, but a plain ActionLoop
// may be satisfied with less than the whole line. While the process does not
// read, send waits as long as wait does; then the error is errUnsent or errPartly.
func (s *stdin) send(framed bool, id uint32, body []byte, wait patience) (began bool, err error) {
	select {
	case <-s.turn:
	default:
		if !wait(s.turn) {
			return false, errUnsent
		}
	}
	defer s.pass()
	if s.broken {
		return false, errUnsent
	}
	var first, second []byte
	if framed {
		first, second = s.frame(id, body)
	} else {
		first, second = s.line(body)
	}
	s.wrote = 0
	if err = s.write(first, wait); err == nil {
		err = s.write(second, wait)
	}
	return err == nil || !framed && s.wrote > 0, err
}

func (s *stdin) pass() { s.turn <- struct{}{} }

// tell sends our own launcher a frame without payload about a run. It waits no
// longer than limit.
func (s *stdin) tell(what function.Stream, id uint32, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.turn:
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
	defer s.pass()
	if s.broken {
		return errUnsent
	}
	header := make([]byte, headerSize)
	function.PutFrameHeader(header, what, 0)
	binary.BigEndian.PutUint32(header[function.FrameHeaderSize:], id)
	s.file.SetWriteDeadline(time.Now().Add(limit))
	defer s.file.SetWriteDeadline(time.Time{})
	_, err := s.file.Write(header) // whole or not at all: it is less than PIPE_BUF
	return err
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

// write tries without waiting first: that spares a goroutine in nearly all runs.
func (s *stdin) write(p []byte, wait patience) error {
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
	return s.writeRest(wait)
}

func (s *stdin) writeRest(wait patience) error {
	written, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		if !wait(written) {
			s.file.SetWriteDeadline(time.Unix(1, 0))
		}
	}()
	n, err := s.file.Write(s.rest)
	close(written)
	<-watched
	s.wrote += n
	s.file.SetWriteDeadline(time.Time{})
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case s.wrote == 0:
		return errUnsent
	}
	s.broken = true
	return errPartly
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
