package sandbox

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// Run starts a command, waits for its end, and copies to out what it writes to
// its standard output and error. Its input is empty. The error says in words why it did not exit
// with code 0. When ctx ends it is killed, and the error is ctx's cause.
func Run(ctx context.Context, cfg Config, out io.Writer) error {
	p, err := Start(cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	defer context.AfterFunc(ctx, p.Kill)()
	p.Stdin.Close()
	copyAll(out, p)
	<-p.Done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if exit := p.Exit(); !exit.OK() {
		return fmt.Errorf("the process %s", exit.Words())
	}
	return nil
}

// copyAll copies until both outputs end, which they do at the latest when
// the last process that holds them is gone.
func copyAll(out io.Writer, p *Process) {
	if out == nil {
		out = io.Discard
	}
	shared := &lockedWriter{w: out}
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(shared, p.Stdout) })
	wg.Go(func() { io.Copy(shared, p.Stderr) })
	wg.Wait()
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
