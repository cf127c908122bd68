package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	readyIn = time.Minute      // a child says that it is ready
	stopIn  = 30 * time.Second // it ends after SIGTERM; then it is killed
	pipesIn = 2 * time.Second  // its output ends after its end
)

// notInherited are settings of the user's own installation, which would lead our
// children there.
var notInherited = []string{"WHISKAWAY_BALANCER=", "WHISKAWAY_TOKEN=", "WHISKAWAY_TOKEN_FILE=", "WHISKAWAY_TOKENS_FILE=", "WHISKAWAY_KIND="}

// environ is our own environment without notInherited, and with what is given.
func environ(ours []string, more ...string) []string {
	var env []string
	for _, v := range ours {
		if !hasPrefix(v, notInherited) {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// errEnded says that a child did not wait to be stopped.
var errEnded = errors.New("ended by itself")

// A child is a process of ours. Its stderr goes to a log file; its stdout says
// when it is ready.
type child struct {
	name, log string
	cmd       *exec.Cmd
	lines     lineWatch
	done      chan struct{} // closed when it has ended; then err may be read
	err       error
}

// startChild starts the command. Its log goes to dir/NAME.log.
func startChild(dir, name string, env []string, command ...string) (*child, error) {
	c := &child{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("making a log file: %w", err)
	}
	c.lines = lineWatch{lines: make(chan string, 100)}
	c.cmd = exec.Command(command[0], command[1:]...)
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = env, &c.lines, log, pipesIn
	// A group of its own: Ctrl-C reaches only us, and we stop it in good order.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		log.Close()
		close(c.done)
	}()
	return c, nil
}

// expect waits for a line of stdout that begins with prefix, and returns its rest.
func (c *child) expect(ctx context.Context, prefix string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyIn, fmt.Errorf("it did not print %q within %v", prefix, readyIn))
	defer cancel()
	for {
		select {
		case line := <-c.lines.lines:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(rest), nil
			}
		case <-c.done:
			return "", c.ended()
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for the %s: %w", c.name, context.Cause(ctx))
		}
	}
}

// ended is the error of a child that is done without having been told to end.
func (c *child) ended() error {
	return fmt.Errorf("the %s %w: %v", c.name, errEnded, c.cmd.ProcessState)
}

// watch cancels when the child ends before ctx does.
func (c *child) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-c.done:
		cancel(c.ended())
	case <-ctx.Done():
	}
}

// stop ends the child and waits for it, a bounded time. The error says if it
// did not end as it should.
func (c *child) stop() error {
	select {
	case <-c.done:
		return c.ended()
	default:
	}
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(stopIn):
		c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("the %s did not stop within %v and was killed", c.name, stopIn)
	}
	if c.err != nil {
		return fmt.Errorf("the %s did not stop cleanly: %w", c.name, c.err)
	}
	return nil
}

// tail returns the last lines of the child's log.
func (c *child) tail(lines int) string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// A lineWatch offers the lines that are written to whoever listens; what nobody
// takes in time is dropped. Only the goroutine that copies a child's output writes.
type lineWatch struct {
	part  []byte
	lines chan string
}

func (l *lineWatch) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	for {
		line, rest, ok := bytes.Cut(l.part, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.part = rest
		select {
		case l.lines <- string(line):
		default:
		}
	}
}
