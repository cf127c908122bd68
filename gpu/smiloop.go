package gpu

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// loopInterval is how often the process prints the GPUs.
const loopInterval = 500 * time.Millisecond

// The times between starts of a process that does not stay.
const (
	minBackOff = time.Second
	maxBackOff = 30 * time.Second
)

// errSilent says that the process is there and prints nothing.
var errSilent = errors.New("nvidia-smi prints nothing")

// An smiLoop is one nvidia-smi that stays and prints all GPUs twice a second, started again
// when it dies. Should we be killed, it dies too, at its next line: nobody reads it any more.
type smiLoop struct {
	path   string
	log    *slog.Logger
	cancel context.CancelFunc
	ended  chan struct{}
	limit  time.Duration // of its end, and of its silence

	mu      sync.Mutex
	round   round
	devices []Device      // of the latest complete round
	words   error         // what was printed besides, since
	silence *time.Timer   // ends a process that prints no GPU; nil while there is none
	down    error         // why there is no process; nil while there is one
	changed chan struct{} // closed and replaced at each change
}

func startSMILoop(o Options) *smiLoop {
	ctx, cancel := context.WithCancel(context.Background())
	l := &smiLoop{
		path: o.NVIDIASMI, log: o.Log, cancel: cancel, ended: make(chan struct{}),
		limit: o.answerLimit, changed: make(chan struct{}),
	}
	go l.keep(ctx)
	return l
}

// close ends the process and waits for it. One that is stuck in the driver
// cannot be ended, and is left behind with an error.
func (l *smiLoop) close() error {
	l.cancel()
	select {
	case <-l.ended:
		return nil
	case <-time.After(l.limit):
		return fmt.Errorf("it has not ended for %v after it was killed; it is stuck in the driver", l.limit)
	}
}

// next waits for the next complete round, or for the end of the process.
func (l *smiLoop) next(ctx context.Context) ([]Device, error) {
	l.mu.Lock()
	changed, down := l.changed, l.down
	l.mu.Unlock()
	if down != nil {
		return nil, down
	}
	select {
	case <-changed:
	case <-time.After(l.limit / 4):
		return nil, cmp.Or(l.said(), errSilent)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.ended:
		return nil, errors.New("nvidia-smi was ended")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return nil, l.down
	}
	return l.devices, l.words
}

// keep keeps a process running until ctx ends.
func (l *smiLoop) keep(ctx context.Context) {
	defer close(l.ended)
	wait := minBackOff
	for ctx.Err() == nil {
		began := time.Now()
		err := l.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > maxBackOff {
			wait = minBackOff
		}
		l.log.Warn("nvidia-smi ended; it is started again", "error", err, "in", wait)
		l.setDown(err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(maxBackOff, 2*wait)
	}
}

// run runs one process to its end.
func (l *smiLoop) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.setSilence(time.AfterFunc(l.limit, func() { cancel(fmt.Errorf("it has printed no GPU for %v", l.limit)) }))
	defer l.setSilence(nil)
	args := []string{"--query-gpu=" + deviceFields, format, "--loop-ms=" + strconv.FormatInt(loopInterval.Milliseconds(), 10)}
	cmd := exec.CommandContext(ctx, l.path, args...)
	cmd.WaitDelay = time.Second
	printed := &lines{line: l.add}
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("nvidia-smi ended: %w", errors.Join(cmp.Or(context.Cause(ctx), err), l.said()))
	}
	return errors.Join(errors.New("nvidia-smi ended by itself"), l.said())
}

func (l *smiLoop) setSilence(t *time.Timer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silence != nil {
		l.silence.Stop()
	}
	l.silence = t
}

func (l *smiLoop) said() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.words
}

// add takes one line that was printed.
func (l *smiLoop) add(text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	d, count, err := parseDevice(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.words = err
		return
	}
	for _, devices := range l.round.add(d, count) {
		l.devices, l.down = devices, nil
		l.silence.Reset(l.limit)
		if len(devices) == count {
			l.words = nil
		}
		l.tell()
	}
}

func (l *smiLoop) setDown(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.words, l.round = err, nil, nil
	l.tell()
}

// tell wakes who waits. l.mu is held.
func (l *smiLoop) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// A round is what was printed of the GPUs this time around.
type round []Device

// add returns the rounds that d completes: the one before it, if that was not complete when d begins
// another, since a GPU has gone; and its own, if d is the last of all.
func (r *round) add(d Device, count int) (complete [][]Device) {
	if n := len(*r); n > 0 && d.Index <= (*r)[n-1].Index {
		complete = append(complete, *r)
		*r = nil
	}
	*r = append(*r, d)
	if len(*r) >= count {
		complete = append(complete, *r)
		*r = nil
	}
	return complete
}

// maxLine is how long a line may be until the rest of it is dropped.
const maxLine = 4 << 10

// lines hands on what a program prints, line by line.
type lines struct {
	line func(string)
	part []byte
}

func (l *lines) Write(p []byte) (int, error) {
	written := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			break
		}
		l.keep(p[:end])
		l.line(string(l.part))
		l.part, p = l.part[:0], p[end+1:]
	}
	l.keep(p)
	return written, nil
}

func (l *lines) keep(p []byte) {
	l.part = append(l.part, p[:min(len(p), maxLine-len(l.part))]...)
}
