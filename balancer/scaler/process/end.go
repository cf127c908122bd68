package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// end tells the process to end and waits until it has. When ctx ends first, it is killed.
func (r running) end(ctx context.Context) error {
	if err := r.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if r.await(ctx) {
		return nil
	}
	if err := r.signal(syscall.SIGKILL); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), killLimit)
	defer cancel()
	if !r.await(last) {
		return fmt.Errorf("process %d did not end after SIGKILL", r.PID)
	}
	return nil
}

// endPoll is how often a process is looked at while it ends; it may be no child of ours.
const endPoll = 20 * time.Millisecond

// killLimit is how long a killed process may take; the kernel may have to write its memory out.
const killLimit = 5 * time.Second

// signal sends a signal when the process is still the one that was recorded. With a handle
// (a pidfd, on Linux) it cannot become another one in between. One that has ended needs no signal.
func (r running) signal(s os.Signal) error {
	p, err := os.FindProcess(r.PID)
	if err != nil {
		return nil // it has ended
	}
	defer p.Release()
	if started, err := startOf(r.PID); err != nil || started != r.Started {
		return nil
	}
	if err := p.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("telling process %d to end: %w", r.PID, err)
	}
	return nil
}

// await waits until the process has ended, and reports whether it did before ctx.
func (r running) await(ctx context.Context) bool {
	tick := time.NewTicker(endPoll)
	defer tick.Stop()
	for {
		if started, err := startOf(r.PID); err != nil || started != r.Started {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
