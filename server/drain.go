package server

import (
	"context"

	"github.com/whiskaway/whiskaway/function"
)

// Drain takes nothing new: runs and Inits are refused with CodeDraining, those that
// wait too. It returns nil when no run is left and the workers are about to end, or an error
// when ctx ends before; what runs goes on then, and so does the draining. Who watches is told
// of it, until Close. There is no way back: a server that shall serve again is started again.
func (s *Server) Drain(ctx context.Context) error {
	s.owner.send(draining{})
	select {
	case <-s.owner.drained:
		return nil
	case <-ctx.Done():
	}
	e := function.AsError(ctx.Err())
	return function.Errorf(e.Code, "the server %s takes nothing new, and runs are still under way there", s.name)
}

// DrainOrCut is Drain, but what still runs when ctx ends is ended as crashed.
func (s *Server) DrainOrCut(ctx context.Context) {
	if s.Drain(ctx) == nil {
		return
	}
	s.owner.send(dropping{})
	<-s.owner.drained
}

// draining says that nothing new may begin.
type draining struct{}

func (draining) apply(o *owner) {
	if o.draining {
		return
	}
	o.draining = true
	o.log.Info("the server drains: it takes nothing new", "running", o.running)
	o.end()
	for _, f := range o.functions {
		f.failInits(errDraining())
		o.failRuns(f, errDraining())
	}
}

// dropping says that runs in flight are not waited for.
type dropping struct{}

func (dropping) apply(o *owner) {
	for _, f := range o.functions {
		for _, s := range f.slots {
			o.tasks.Go(s.process.Stop)
		}
	}
}
