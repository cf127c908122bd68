package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/sandbox"
)

// A guard looks after a worker while it starts, where the kernel does not enforce its limits: it
// is not one of those yet that the server looks after.
type guard struct {
	ctx      context.Context // of the start; ends when the worker is over a limit
	cancel   context.CancelCauseFunc
	cage     *cage
	pid      chan int // has room for one
	watching sync.WaitGroup
}

// errOver is the cause of a start's end: its words complete "the function's process ...".
type errOver string

func (e errOver) Error() string { return string(e) }

// guardStart begins to look after a start. The guard must be ended.
func (s *Server) guardStart(ctx context.Context, spec function.Spec, c *cage) *guard {
	g := &guard{cage: c, pid: make(chan int, 1)}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	if !s.kernelLimits {
		g.watching.Go(func() { s.watchStart(g, spec) })
	}
	return g
}

// started is told the shim's pid before the function's process begins.
func (g *guard) started(pid int) error {
	g.pid <- pid
	return g.cage.enter(pid)
}

func (s *Server) watchStart(g *guard, spec function.Spec) {
	var pid int
	select {
	case pid = <-g.pid:
	case <-g.ctx.Done():
		return
	}
	ticker := time.NewTicker(tightInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-g.ctx.Done():
			return
		}
		if cause := s.over(spec, sandbox.UsagesOf([]int{pid}, exactAbove)[0]); cause != "" {
			g.cancel(errOver(cause))
			return
		}
	}
}

// end returns the start's error, in the guard's words if it was the guard who ended it.
func (g *guard) end(err error) error {
	var over errOver
	if err != nil && errors.As(context.Cause(g.ctx), &over) {
		failed := *function.AsError(err)
		failed.Code, failed.Message = function.CodeInitFailed, "the function's process "+over.Error()
		err = &failed
	}
	g.cancel(nil)
	g.watching.Wait()
	return err
}
