package invoker

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// An execution is what became of one bus.Run.
type execution struct {
	verdict
	logs    []string
	start   time.Time // of /init, or of /run in a warm container
	end     time.Time
	init    time.Duration // cold only
	cold    bool
	timeout bool
	journey *journey
}

// A refusal says that the container certainly did not start the run.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

// execute runs it, at most once. A container that refuses is replaced, once, by
// a fresh one. sending is called right before the run's first byte leaves; it may forbid
// that. nil: the run was not sent, and is left to others.
func (v *Invoker) execute(ctx context.Context, run *bus.Run, sending func() error) *execution {
	var reason string
	for attempt := range 2 {
		e, err := v.attempt(ctx, run, attempt > 0, sending)
		if errors.Is(err, errLeft) {
			return nil
		}
		var refused refusal
		if !errors.As(err, &refused) {
			return e
		}
		reason = refused.reason
		v.log.Warn("a container refused a run", "activation", run.ActivationID, "action", run.Action.FullName(), "reason", reason)
	}
	return ended(failed(store.StatusWhiskError, msgRefusedTwice, reason))
}

// ended is an execution that never came to a container.
func ended(v verdict) *execution {
	now := time.Now()
	return &execution{verdict: v, start: now, end: now}
}

func (v *Invoker) attempt(ctx context.Context, run *bus.Run, fresh bool, sending func() error) (*execution, error) {
	c, cold, err := v.container(ctx, run, fresh)
	if err != nil && v.leaves(run) {
		return nil, errLeft
	}
	if err != nil {
		return ended(v.whyNoContainer(ctx, run, err)), nil
	}
	e := &execution{cold: cold, start: time.Now()}
	if cold {
		done, err := v.initialize(ctx, c, run, e)
		if err != nil {
			v.pool.destroy(c)
			return nil, err
		}
		if done {
			v.finish(ctx, c, e)
			return e, nil
		}
	} else {
		c.logs.begin(logBytes(run))
	}
	err = v.run(ctx, c, run, e, sending)
	if err != nil {
		v.pool.destroy(c)
		return nil, err
	}
	v.finish(ctx, c, e)
	return e, nil
}

func logBytes(run *bus.Run) int { return run.Action.Limits.Logs << 20 }

func (v *Invoker) container(ctx context.Context, run *bus.Run, fresh bool) (*container, bool, error) {
	until := time.UnixMicro(max(run.Accepted, run.Requeued)).Add(v.cfg.WaitLimit)
	ctx, cancel := v.whileWanted(ctx, run)
	defer cancel()
	w := want{
		key:    key{run.Namespace, run.Action.FullName() + run.Action.Variant, run.Action.Revision},
		memory: run.Action.Limits.Memory,
		fresh:  fresh,
	}
	return v.pool.acquire(ctx, w, until, run.Action.Kind, logBytes(run))
}

func (v *Invoker) whyNoContainer(ctx context.Context, run *bus.Run, err error) verdict {
	switch {
	case ctx.Err() != nil || errors.Is(err, errClosed):
		return failed(store.StatusWhiskError, msgInvokerStopped)
	case errors.Is(err, errNoRoom):
		return failed(store.StatusWhiskError, msgNoRoom)
	}
	v.log.Error("no container could be started", "action", run.Action.FullName(), "error", err)
	return failed(store.StatusWhiskError, "%s (%v)", msgProvision, err)
}

// initialize posts /init until the container takes it. done: the execution is
// over, e says how.
func (v *Invoker) initialize(ctx context.Context, c *container, run *bus.Run, e *execution) (done bool, err error) {
	limit := timeLimit(run)
	defer func() { e.end = time.Now(); e.init = e.end.Sub(e.start) }()
	code, err := v.store.Code(ctx, run.Action.CodeID)
	if err != nil {
		e.verdict = v.whyNoCode(ctx, run, err)
		return true, nil
	}
	body, err := initBody(run, code, e.start.Add(limit))
	if err != nil {
		e.verdict = failed(store.StatusWhiskError, "%v", err)
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ans, err := v.postInit(ctx, c, body)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.verdict, e.timeout = timedOut(limit, true), true
	case errors.Is(err, context.Canceled):
		e.verdict = failed(store.StatusWhiskError, msgInvokerStopped)
	case err != nil:
		e.verdict = failed(store.StatusDeveloperError, msgAbnormalInit)
	case ans.status == http.StatusServiceUnavailable:
		return false, refusal{text(ans.body)}
	default:
		var ok bool
		if e.verdict, ok = judgeInit(ans, v.cfg.MaxResult); ok {
			return false, nil
		}
	}
	return true, nil
}

func (v *Invoker) whyNoCode(ctx context.Context, run *bus.Run, err error) verdict {
	switch {
	case ctx.Err() != nil:
		return failed(store.StatusWhiskError, msgInvokerStopped)
	case errors.Is(err, store.ErrNotFound):
		return failed(store.StatusWhiskError, msgActionRemoved)
	}
	v.log.Error("the code of an action could not be read", "action", run.Action.FullName(), "error", err)
	return failed(store.StatusWhiskError, msgActionFetch)
}

// initRetry is the pause between two tries to reach a container that does not listen yet.
const initRetry = 10 * time.Millisecond

// postInit tries again as long as no connection can be made.
func (v *Invoker) postInit(ctx context.Context, c *container, body []byte) (answer, error) {
	for {
		ans, err := c.http.post(ctx, "/init", v.cfg.MaxResult, body)
		if !errors.Is(err, errNotStarted) {
			return ans, err
		}
		select {
		case <-c.Done():
			return ans, err
		case <-ctx.Done():
			return ans, ctx.Err()
		case <-time.After(initRetry):
		}
	}
}

// run posts /run. A refusal is returned when it certainly never started.
func (v *Invoker) run(ctx context.Context, c *container, run *bus.Run, e *execution, sending func() error) error {
	limit := timeLimit(run)
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(limit))
	defer cancel()
	ctx, stop := untilLeft(ctx, run)
	defer stop()
	if err := sending(); err != nil {
		return v.unsent(run, e, err)
	}
	ans, err := c.http.ask(ctx, "/run", v.cfg.MaxResult, run.Reader, runBody(run, began.Add(limit)))
	e.end = time.Now()
	switch {
	case errors.Is(err, errNotStarted) && ctx.Err() == nil:
		return refusal{err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		e.verdict, e.timeout = timedOut(limit, false), true
	case err != nil && (hasLeft(run) || errors.Is(err, errUnread)):
		e.verdict = failed(store.StatusApplicationError, msgReaderLeft)
	case errors.Is(err, context.Canceled):
		e.verdict = failed(store.StatusWhiskError, msgInvokerStopped)
	case err != nil:
		e.verdict = failed(store.StatusDeveloperError, msgAbnormalRun)
	case ans.status == http.StatusServiceUnavailable:
		return refusal{text(ans.body)}
	default:
		e.verdict = judgeRun(ans, v.cfg.MaxResult)
		e.journey = journeyOf(ans.header)
	}
	return nil
}

func timeLimit(run *bus.Run) time.Duration {
	return time.Duration(run.Action.Limits.Timeout) * time.Millisecond
}

// finish collects the run's lines and lets go of the container: after a success
// or an application error it stays warm, otherwise it is killed. One that ran out
// of time is killed before its lines are collected, since no guard line can be
// expected of it.
func (v *Invoker) finish(ctx context.Context, c *container, e *execution) {
	if e.timeout || e.status == store.StatusWhiskError {
		v.pool.destroy(c)
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.LogWait)
	defer cancel()
	lines, whole := c.logs.end(ctx)
	e.logs = lines
	good := e.status == store.StatusSuccess || e.status == store.StatusApplicationError
	switch {
	case whole && good:
		v.pool.release(c)
		return
	case good:
		e.logs = append(e.logs, c.logs.stamp(1, msgLogsFailed))
	case !whole:
		e.logs = append(e.logs, c.logs.stamp(1, msgLogsMaybeLost))
	}
	if !e.timeout && e.status != store.StatusWhiskError {
		v.pool.destroy(c)
	}
}
