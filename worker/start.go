package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// An ack is the first line on file descriptor 3. See protocol.md.
type ack struct {
	OK          bool   `json:"ok"`
	Error       string `json:"error"`
	Whiskaway   int    `json:"whiskaway"`   // the version of our own protocol; 0: a plain ActionLoop
	Concurrency int    `json:"concurrency"` // how many runs it takes at once
}

// maxAck bounds the ack's line, in bytes.
const maxAck = 64 << 10

// errNoAck is the cause of a start that took too long.
var errNoAck = errors.New("no ack in time")

// ackGrace is how long an executable that may not know of acks has for one, and
// for ending right away where it cannot run. Then it counts as ready.
const ackGrace = time.Second

// awaitAck reads the ack. When its time or ctx is over it kills the process,
// which ends the reading. Of a command that may not send one it waits for ackGrace.
func (w *Worker) awaitAck(ctx context.Context, timeout time.Duration, cmd kind.Command) (ack, error) {
	timed, cancel := context.WithTimeoutCause(ctx, timeout, errNoAck)
	defer cancel()
	defer context.AfterFunc(timed, w.proc.Kill)()
	if cmd.MayNotAck {
		w.proc.Result.SetReadDeadline(time.Now().Add(ackGrace))
		defer w.proc.Result.SetReadDeadline(time.Time{})
	}
	line, err := w.answers.line(maxAck)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && timed.Err() == nil:
		w.ackMayCome = true
		return ack{OK: true}, nil
	case ctx.Err() != nil:
		return ack{}, ctx.Err()
	case errors.Is(context.Cause(timed), errNoAck):
		return ack{}, initFailed("the function was not ready in time: no ack within %v", timeout)
	case errors.Is(err, errTooLong):
		return ack{}, initFailed(`the first line on file descriptor 3 is longer than the ack {"ok":true}; %s`, ackAdvice)
	case err != nil:
		return ack{}, w.endedEarly(cmd)
	}
	return parseAck(line)
}

// ackAdvice is for the author of an executable.
const ackAdvice = `an executable first writes that line, and then one for each run`

func parseAck(line []byte) (ack, error) {
	var a ack
	if err := json.Unmarshal(line, &a); err != nil {
		return ack{}, initFailed(`the first line on file descriptor 3 is not the ack {"ok":true}, but %.100q; %s`, line, ackAdvice)
	}
	if !a.OK {
		if a.Error == "" {
			a.Error = "the function did not start, and did not say why"
		}
		return ack{}, initFailed("%s", a.Error)
	}
	return a, nil
}

// isLateAck reports whether the line is the plain ack that had not come in time.
// It is asked once, for the first line of a process that has not sent one.
func (w *Worker) isLateAck(line []byte) bool {
	mayBe := w.ackMayCome
	w.ackMayCome = false
	var compact bytes.Buffer
	return mayBe && json.Compact(&compact, line) == nil && compact.String() == `{"ok":true}`
}

// endedEarly says why there is no ack.
func (w *Worker) endedEarly(cmd kind.Command) error {
	select {
	case <-w.proc.Done():
		exit := w.proc.Exit()
		if cmd.MayNotAck && exit.Signal == 0 && exit.Failure == "" {
			return initFailed("the function's process %s before it was ready; an executable must go on, and answer each line of its input with one on file descriptor 3", exit.Words())
		}
		return initFailed("the function's process %s before it was ready", exit.Words())
	case <-time.After(exitGrace):
		return initFailed("the function's process closed file descriptor 3 before it was ready")
	}
}

func initFailed(format string, args ...any) error {
	return function.Errorf(function.CodeInitFailed, format, args...)
}

// failStart ends a process that is not wanted, and adds what it printed. One
// that said why it fails may first end by itself.
func (w *Worker) failStart(err error, c kind.Command) error {
	if function.CodeOf(err) != function.CodeInitFailed {
		w.proc.Kill()
	}
	w.awaitExit()
	w.proc.Close()
	failed := *function.AsError(err)
	if failure := w.proc.Exit().Failure; failure != "" && failed.Code == function.CodeInitFailed {
		failed.Message = c.WhyNot(failure)
	}
	failed.Logs = string(bytes.Join(w.idle.texts(), nil))
	return &failed
}
