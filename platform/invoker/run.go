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
	log     *runLog // in the container
	logs    []string
	start   time.Time // of /init, or of /run in a warm container
	end     time.Time
	init    time.Duration // cold only
	cold    bool
	timeout bool
	cut     bool // the container's answer ended before it was whole, or never began
	journey *journey
}

// duration is the difference of the record's two times, in milliseconds.
func (e *execution) duration() int64 { return e.end.UnixMilli() - e.start.UnixMilli() }

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

// attempt tries it in one container. The error is a refusal, or errLeft.
func (v *Invoker) attempt(ctx context.Context, run *bus.Run, fresh bool, sending func() error) (*execution, error) {
	c, cold, err := v.container(ctx, run, fresh)
	if err != nil && v.leaves(run) {
		return nil, errLeft
	}
	if errors.As(err, new(refusal)) {
		return nil, err
	}
	if err != nil {
		return ended(v.whyNoContainer(ctx, run, err)), nil
	}
	e := &execution{cold: cold, start: time.Now(), log: c.logs.begin(run.ActivationID, logBytes(run))}
	if cold {
		done, err := v.initialize(ctx, c, run, e)
		if err != nil {
			return nil, v.refused(c, e, err)
		}
		if done {
			v.finish(ctx, c, e)
			return e, nil
		}
		v.pool.started(c)
	}
	if hasLeft(run) {
		c.logs.drop(e.log)
		v.pool.release(c, true)
		return ended(failed(store.StatusApplicationError, msgReaderLeft)), nil
	}
	if err := v.run(ctx, c, run, e, sending); err != nil {
		return nil, v.refused(c, e, err)
	}
	v.finish(ctx, c, e)
	return e, nil
}

// refused lets go of a container that refused, and returns why it did.
func (v *Invoker) refused(c *container, e *execution, why error) error {
	c.logs.drop(e.log)
	v.pool.release(c, false)
	return why
}

func logBytes(run *bus.Run) int { return run.Action.Limits.Logs << 20 }

// container returns one for the run. Nobody is waited for whose reader has left.
func (v *Invoker) container(ctx context.Context, run *bus.Run, fresh bool) (*container, bool, error) {
	ctx, cancel := v.whileWanted(ctx, run)
	defer cancel()
	ctx, stop := untilLeft(ctx, run)
	defer stop()
	a := &run.Action
	w := want{
		key:   key{run.Namespace, a.FullName(), a.Variant, a.Revision},
		base:  base{a.Kind, a.Image, a.Limits.Memory, a.Limits.Concurrency > 1},
		slots: max(a.Limits.Concurrency, 1),
		fresh: fresh,
	}
	until := time.UnixMicro(max(run.Accepted, run.Requeued)).Add(v.cfg.WaitLimit)
	return v.pool.acquire(ctx, &w, until)
}

func (v *Invoker) whyNoContainer(ctx context.Context, run *bus.Run, err error) verdict {
	var image *ImageError
	switch {
	case ctx.Err() != nil || errors.Is(err, errClosed):
		return failed(store.StatusWhiskError, msgInvokerStopped)
	case hasLeft(run):
		return failed(store.StatusApplicationError, msgReaderLeft)
	case errors.Is(err, errNoRoom):
		return failed(store.StatusWhiskError, msgNoRoom)
	case errors.As(err, &image):
		return failed(store.StatusDeveloperError, msgImagePull, image.Image, image.Err)
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
	q := question{path: "/init", body: [][]byte{body}}
	if c.box.base.concurrent {
		q.header = headerLogs + ": " + logsByRun + "\r\n"
	}
	ans, err := v.postInit(ctx, c, q)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.verdict, e.timeout = timedOut(limit, true), true
	case errors.Is(err, context.Canceled):
		e.verdict = failed(store.StatusWhiskError, msgInvokerStopped)
	case errors.Is(err, errNotStarted) && c.box.base.image == "": // it died before, perhaps while it was kept in advance
		return false, refusal{err.Error()}
	case err != nil:
		e.verdict, e.cut = failed(store.StatusDeveloperError, msgAbnormalInit), true
	case ans.status == http.StatusServiceUnavailable:
		return false, refusal{text(ans.body)}
	default:
		var ok bool
		if e.verdict, ok = judgeInit(ans, v.cfg.MaxResult); ok {
			v.heed(c, ans)
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

// The headers by which a runtime of ours is asked to say in its logs whose each line is, and says
// that it will; and the run's id, which is the tag.
const (
	headerLogs = "Whiskaway-Logs"
	logsByRun  = "by-run"
	headerRun  = "Whiskaway-Run"
)

// heed notes what a container said of itself when it took its /init.
func (v *Invoker) heed(c *container, ans answer) {
	if c.box.base.concurrent && ans.header.Get(headerLogs) == logsByRun {
		c.logs.knowsRuns()
		c.byRun = true
	}
}

// initRetry is the pause between two tries to reach a container that does not listen yet.
const initRetry = 10 * time.Millisecond

// postInit tries again as long as no connection can be made.
func (v *Invoker) postInit(ctx context.Context, c *container, q question) (answer, error) {
	cl := c.client()
	defer c.putClient(cl)
	for {
		ans, err := cl.ask(ctx, q, v.cfg.MaxResult)
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
	q := question{path: "/run", reader: run.Reader, body: runBody(run, began.Add(limit))}
	if c.byRun {
		q.header = headerRun + ": " + run.ActivationID + "\r\n"
	}
	cl := c.client()
	defer c.putClient(cl)
	if err := sending(); err != nil {
		return v.unsent(run, e, err)
	}
	ans, err := cl.ask(ctx, q, v.cfg.MaxResult)
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
		e.verdict, e.cut = failed(store.StatusDeveloperError, msgAbnormalRun), true
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
// or an application error it stays warm, otherwise it goes. One that ran out of time
// goes before its lines are collected, since no guard line can be expected of it:
// at once, unless other runs are in it.
func (v *Invoker) finish(ctx context.Context, c *container, e *execution) {
	v.checkMemory(ctx, c, e)
	hopeless := e.timeout || e.status == store.StatusWhiskError
	if hopeless {
		v.pool.release(c, false)
	}
	lines, whole := v.collect(ctx, c, e.log)
	e.logs = lines
	good := e.status == store.StatusSuccess || e.status == store.StatusApplicationError
	switch {
	case whole:
	case good:
		e.logs = append(e.logs, stamp(time.Now(), 1, msgLogsFailed))
	default:
		e.logs = append(e.logs, stamp(time.Now(), 1, msgLogsMaybeLost))
	}
	if !hopeless {
		v.pool.release(c, whole && good)
	}
}
