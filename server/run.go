package server

import (
	"context"
	"runtime"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// maxTries bounds how often a run that certainly never started, because its
// worker had just ended, is given to another one.
const maxTries = 3

// Run implements function.Host.
func (s *Server) Run(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	began := time.Now()
	c := &call{id: id, claim: claim, since: began, limit: act.Timeout, reply: make(chan reply, 1)}
	var failed error
	for range maxTries {
		r, err := s.owner.await(ctx, c)
		if err != nil {
			return function.Summary{}, err
		}
		sum, err := s.owner.runIn(ctx, c, r.slot, act, out)
		if err == nil {
			sum.Server, sum.Cold, sum.Memory = s.name, r.cold, r.slot.memory.Load()
			sum.Passed("server", time.Since(began))
			return sum, nil
		}
		if failed = err; ctx.Err() != nil || function.CodeOf(err) == function.CodeTimeout {
			break
		}
	}
	return function.Summary{}, function.AsError(failed)
}

// await asks for a worker. Its error means that nothing has started.
func (o *owner) await(ctx context.Context, c *call) (reply, error) {
	if !o.send(c) {
		return reply{}, errDraining()
	}
	select {
	case r := <-c.reply: // nearly always, where there are enough workers
		return r.orError()
	default:
	}
	var expired <-chan time.Time
	if c.limit > 0 {
		timer := time.NewTimer(c.limit - time.Since(c.since))
		defer timer.Stop()
		expired = timer.C
	}
	var why *function.Error
	select {
	case r := <-c.reply:
		return r.orError()
	case <-ctx.Done():
		why = function.AsError(ctx.Err())
	case <-expired:
		why = errExpired()
	}
	o.send((*giveUp)(c))
	r := <-c.reply
	if r.slot != nil { // given at the same moment
		o.handBack(c, r.slot)
	} else if function.CodeOf(r.err) == function.CodeNoCapacity && why.Code == function.CodeTimeout {
		why.Message += ": " + r.err.Message
	}
	return reply{}, why
}

func (r reply) orError() (reply, error) {
	if r.err != nil {
		return reply{}, r.err
	}
	return r, nil
}

func errExpired() *function.Error {
	return function.Errorf(function.CodeTimeout, "the time limit was over before a worker was free; nothing has started")
}

// runIn runs the call in the worker that it was given, and gives that back.
// Its error means that the run never started.
func (o *owner) runIn(ctx context.Context, c *call, s *slot, act *function.Activation, out function.Output) (sum function.Summary, err error) {
	c.slot, c.ran, c.dead = s, true, true // should a panic pass through here
	defer func() {
		o.send((*ended)(c))
		// The worker is idle until its next run has its input. Let the owner and
		// that run go first: our own answer can wait, and 64 callers get a tenth
		// more runs through (measured).
		runtime.Gosched()
	}()
	begun := time.Now()
	rest := *act
	if act.Timeout > 0 {
		if rest.Timeout = act.Timeout - begun.Sub(c.since); rest.Timeout <= 0 {
			c.ran, c.dead = false, false
			return function.Summary{}, errExpired()
		}
	}
	sum, err = s.process.Run(ctx, &rest, out)
	c.took, c.ran = time.Since(begun), err == nil
	c.dead = err != nil || sum.Outcome == function.OutcomeCrashed || s.process.Retiring()
	if err == nil && sum.Outcome == function.OutcomeCrashed {
		c.crash = sum.Error
	}
	return sum, err
}

// handBack returns a worker that the call did not use.
func (o *owner) handBack(c *call, s *slot) {
	c.slot, c.ran, c.dead = s, false, false
	o.send((*ended)(c))
}
