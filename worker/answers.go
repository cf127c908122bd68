package worker

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/whiskaway/whiskaway/function"
)

// headerSize is the size of a frame's header between us and our launchers:
// that of function, and the run's id.
const headerSize = function.FrameHeaderSize + 4

// readAnswers reads what comes on file descriptor 3 until it ends, and returns
// why. A process that does not keep to the protocol is killed.
func (w *Worker) readAnswers() error {
	read := w.readLine
	if w.framed {
		read = w.readFrame
	}
	for {
		err := read()
		if err == nil {
			continue
		}
		if errors.Is(err, errProtocol) {
			w.log.Warn("a worker does not keep to the protocol", "pid", w.proc.Pid(), "error", err)
			w.proc.Kill()
		}
		return err
	}
}

var errProtocol = errors.New("unexpected on file descriptor 3")

func (w *Worker) readFrame() error {
	header, err := w.answers.peek(headerSize)
	if err != nil {
		return err
	}
	stream, size, err := function.ParseFrameHeader(header)
	id := binary.BigEndian.Uint32(header[function.FrameHeaderSize:])
	if oversize := int64(binary.BigEndian.Uint32(header[4:])); header[0] == byte(function.Result) && oversize > w.resultLimit {
		return w.skipFrame(id, headerSize+oversize)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errProtocol, err)
	}
	whole, err := w.answers.peek(headerSize + size)
	if err != nil {
		return err
	}
	w.takeFrame(stream, id, whole[headerSize:])
	w.answers.discard(headerSize + size)
	return nil
}

// skipFrame passes over a result that is too large to be kept.
func (w *Worker) skipFrame(id uint32, size int64) error {
	w.mu.Lock()
	if r := w.active[id]; r != nil {
		w.cutIfTooLarge(r)
		r.tooLarge = true
	}
	w.mu.Unlock()
	return w.answers.skip(size)
}

// cutIfTooLarge is called at each result, and cuts a run that had one above the limit
// before: it was an item of a stream, and nobody shall miss it unseen. mu must be held.
func (w *Worker) cutIfTooLarge(r *run) {
	if r.tooLarge {
		r.fail(&cut{function.OutcomeTooLarge, w.tooLarge()})
	}
}

func (w *Worker) takeFrame(stream function.Stream, id uint32, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.active[id]
	if r == nil {
		return // late output of a run that has ended: nobody is left to take it
	}
	switch stream {
	case function.End:
		w.endRun(r, payload)
	case function.Result:
		w.cutIfTooLarge(r)
		w.deliver(r, stream, payload)
	default:
		w.deliverLog(r, stream, payload)
	}
}

// readLine takes an answer of a plain ActionLoop, which has one run at a time.
func (w *Worker) readLine() error {
	line, err := w.answers.line(int(w.resultLimit))
	tooLong := errors.Is(err, errTooLong)
	if err != nil && !tooLong {
		return err
	}
	if w.isLateAck(line) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.active {
		r.tooLarge = tooLong
		if !tooLong {
			w.deliver(r, function.Result, line)
		}
		w.endRun(r, nil)
		return nil
	}
	return fmt.Errorf("%w: a line while nothing ran", errProtocol)
}
