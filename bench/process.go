package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A command is what to start.
type command struct {
	name  string // for the table
	path  string
	args  []string
	env   []string // beside our own, without what would configure the binary
	stdin *os.File
	fd3   *os.File
	// quiet sends stdout to nowhere; otherwise its lines are for process.await.
	quiet bool
}

// A process is one that we started.
type process struct {
	name    string
	pprof   string // the address of its profiler, or empty
	cmd     *exec.Cmd
	errors  string        // the file with its stderr
	lines   chan string   // of its stdout; closed at its end
	done    chan struct{} // closed when it has ended
	err     error         // how it ended
	closers []io.Closer   // what ends with it
}

// startProcess starts c as one of s's processes. It ends with us, whatever
// happens to us.
func (l *lab) startProcess(s *setup, c command) (*process, error) {
	p := &process{name: c.name, done: make(chan struct{}), lines: make(chan string, 100)}
	p.cmd = exec.Command(c.path, c.args...)
	p.cmd.Env = append(cleanEnvironment(), c.env...)
	p.cmd.Dir = l.dir
	p.cmd.SysProcAttr = endWithUs()
	if c.stdin != nil {
		p.cmd.Stdin = c.stdin
	}
	if c.fd3 != nil {
		p.cmd.ExtraFiles = []*os.File{c.fd3}
	}
	stderr, err := os.CreateTemp(l.dir, "stderr-")
	if err != nil {
		return nil, fmt.Errorf("making a file for stderr: %w", err)
	}
	defer stderr.Close()
	p.errors = stderr.Name()
	if !c.quiet {
		p.cmd.Stderr = stderr
	}
	return p, p.start(s, c)
}

func (p *process) start(s *setup, c command) error {
	var wait sync.WaitGroup
	if !c.quiet {
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return fmt.Errorf("making a pipe: %w", err)
		}
		wait.Go(func() { p.readLines(out) })
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", filepath.Base(c.path), err)
	}
	s.roots = append(s.roots, p)
	go func() { // stop waits for it
		wait.Wait()
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return nil
}

// readLines hands on the first lines, and drains the others.
func (p *process) readLines(out io.Reader) {
	defer close(p.lines)
	for in := bufio.NewScanner(out); in.Scan(); {
		select {
		case p.lines <- in.Text():
		default:
		}
	}
}

// await returns what follows text in the next line of stdout that has it.
func (p *process) await(ctx context.Context, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return "", fmt.Errorf("%s ended before it said %q: %s", p.name, text, p.lastWords())
			}
			if _, rest, found := strings.Cut(line, text); found {
				return strings.TrimSpace(rest), nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not say %q within a minute: %s", p.name, text, p.lastWords())
		}
	}
}

// lastWords returns the end of what it wrote to stderr.
func (p *process) lastWords() string {
	data, err := os.ReadFile(p.errors)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(data))
	return text[max(0, len(text)-2000):]
}

// stopPatience is how long a process may take to end when asked.
const stopPatience = 15 * time.Second

// stop ends the process, asking first, and waits until it has ended.
func (p *process) stop() error {
	defer func() {
		for _, c := range p.closers {
			c.Close()
		}
	}()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopPatience):
	}
	p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s did not end within %v of SIGTERM: %s", p.name, stopPatience, p.lastWords())
}

// cleanEnvironment is ours without what would configure the binary.
func cleanEnvironment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WHISKAWAY_") && !strings.HasPrefix(v, "__OW_") && !strings.HasPrefix(v, "OW_") {
			env = append(env, v)
		}
	}
	return env
}
