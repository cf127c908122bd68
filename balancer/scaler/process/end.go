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
func (s server) end(ctx context.Context) error {
	if err := s.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if s.await(ctx) {
		return nil
	}
	if err := s.signal(syscall.SIGKILL); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), killLimit)
	defer cancel()
	if !s.await(last) {
		return fmt.Errorf("process %d did not end after SIGKILL", s.PID)
	}
	return nil
}

// endPoll is how often a process is looked at while it ends; it may be no child of ours.
const endPoll = 20 * time.Millisecond

// killLimit is how long a killed process may take; the kernel may have to write its memory out.
const killLimit = 5 * time.Second

// signal sends a signal when the process is still the one that was recorded. With a handle
// (a pidfd, on Linux) it cannot become another one in between. One that has ended needs no signal.
func (s server) signal(sig os.Signal) error {
	p, err := os.FindProcess(s.PID)
	if err != nil {
		return nil // it has ended
	}
	defer p.Release()
	if started, err := startOf(s.PID); err != nil || started != s.Started {
		return nil
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("telling process %d to end: %w", s.PID, err)
	}
	return nil
}

// await waits until the process has ended, and reports whether it did before ctx.
func (s server) await(ctx context.Context) bool {
	tick := time.NewTicker(endPoll)
	defer tick.Stop()
	for {
		if started, err := startOf(s.PID); err != nil || started != s.Started {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
