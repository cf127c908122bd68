package worker

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/whiskaway/whiskaway/function"
)

// logBuffer is how much is read from a log pipe at once, in bytes.
const logBuffer = 32 << 10

// logGrace bounds the wait for the end of the logs of a process that has
// ended. Only somebody who escaped from the sandbox could hold the pipes longer.
const logGrace = 5 * time.Second

// logPipes read the process's stdout and stderr.
type logPipes struct {
	pipes   [2]*logPipe
	readers sync.WaitGroup
}

// A logPipe is read by a goroutine of its own, and by drain. Both read while they
// hold Worker.mu, so that what is read is delivered in order.
type logPipe struct {
	w      *Worker
	stream function.Stream
	file   *os.File
	raw    syscall.RawConn
	buf    []byte
	ended  bool
	drain  func(fd uintptr) // drainPresent, made once so that no run allocates it
}

func openLogs(w *Worker) (*logPipes, error) {
	l := &logPipes{}
	for i, f := range []*os.File{w.proc.Stdout, w.proc.Stderr} {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, fmt.Errorf("opening a log pipe: %w", err)
		}
		p := &logPipe{w: w, stream: function.Stream(i + 1), file: f, raw: raw, buf: make([]byte, logBuffer)}
		p.drain = p.drainPresent
		l.pipes[i] = p
	}
	for _, p := range l.pipes {
		l.readers.Go(p.read)
	}
	return l, nil
}

// wait returns when both pipes have ended and all was delivered.
func (l *logPipes) wait() {
	force := time.AfterFunc(logGrace, func() {
		for _, p := range l.pipes {
			p.file.SetReadDeadline(time.Unix(1, 0))
		}
	})
	l.readers.Wait()
	force.Stop()
}

// drain delivers what is in the pipes now. Worker.mu must be held.
func (l *logPipes) drain() {
	for _, p := range l.pipes {
		p.raw.Control(p.drain)
	}
}

// read delivers what comes until the pipe ends.
func (p *logPipe) read() {
	for !p.ended {
		if err := p.raw.Read(p.readOnce); err != nil {
			return
		}
	}
}

// readOnce returns false when there is nothing to read yet.
func (p *logPipe) readOnce(fd uintptr) bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	n, err := syscall.Read(int(fd), p.buf)
	switch {
	case err == syscall.EAGAIN:
		return false
	case err == syscall.EINTR:
		return true
	case err != nil || n == 0:
		p.ended = true
		return true
	}
	p.w.takeOutput(p.stream, p.buf[:n])
	return true
}

// drainPresent reads what is there now and no more: somebody may be writing on
// and on.
func (p *logPipe) drainPresent(fd uintptr) {
	left, err := unix.IoctlGetInt(int(fd), pendingBytes)
	for err == nil && left > 0 {
		var n int
		if n, err = syscall.Read(int(fd), p.buf[:min(left, len(p.buf))]); err == syscall.EINTR {
			err = nil
			continue
		}
		if n <= 0 {
			return
		}
		p.w.takeOutput(p.stream, p.buf[:n])
		left -= n
	}
}
