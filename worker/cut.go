package worker

import (
	"context"
	"errors"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A cut is why a run ended otherwise than by its own answer.
type cut struct {
	outcome function.Outcome
	words   string
}

func atLimit() *cut {
	return &cut{function.OutcomeTimeout, "the function was ended at its time limit"}
}

// leftBy is the cut of a run whose ctx has ended.
func leftBy(ctx context.Context) *cut {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return atLimit()
	}
	return &cut{function.OutcomeCancelled, "the run was cancelled"}
}

// isCut reports whether the run's fate is another than its answer.
func (r *run) isCut() bool {
	fate := r.fate.Load()
	return fate != nil && fate != &r.answered
}

// outputFailed cuts a run whose output nobody takes.
func (r *run) outputFailed(err error) { r.fail(unheard(err)) }

// fail cuts a run for what came from it.
func (r *run) fail(why *cut) {
	r.fate.CompareAndSwap(nil, why)
	select {
	case r.failed <- struct{}{}:
	default:
	}
}

func unheard(err error) *cut {
	return &cut{function.OutcomeCancelled, "the run was cancelled: nobody takes its output: " + err.Error()}
}

// waitFor waits for event, which it returns, or for what cuts the run.
// Whether the cut came before the answer is for fate to say.
func (r *run) waitFor(ctx context.Context, event <-chan struct{}) (came bool) {
	select {
	case <-event:
		return true
	case <-r.failed:
	case <-r.limit.C:
		r.fate.CompareAndSwap(nil, atLimit())
	case <-ctx.Done():
		r.fate.CompareAndSwap(nil, leftBy(ctx))
	}
	return false
}

// await returns when the run has ended. One that is cut is first asked to end.
func (r *run) await(ctx context.Context) {
	if !r.isCut() && r.waitFor(ctx, r.ended) {
		return
	}
	if !r.isCut() { // the answer came first
		<-r.ended
		return
	}
	over := time.NewTimer(r.w.grace)
	defer over.Stop()
	r.w.interrupt(r)
	select {
	case <-r.ended:
		r.w.retireIfCrowded()
	case <-over.C:
		r.w.giveUp(r)
		r.w.awaitEnd(r)
	}
}

// killPatience is how long the caller of a run that was killed waits for the end of all its processes.
const killPatience = time.Second

// awaitEnd waits for the end of a run that was given up. One with very many processes
// takes long to kill; its caller gets the answer before.
func (w *Worker) awaitEnd(r *run) {
	late := time.NewTimer(killPatience)
	defer late.Stop()
	select {
	case <-r.ended:
		return
	case <-late.C:
	}
	w.mu.Lock()
	if w.active[r.id] == r {
		w.finishCut(r)
	}
	w.mu.Unlock()
	<-r.ended
}

// leavingTime is how long what a cut run has started may take to end after it: on a busy
// machine the end of a process takes a while.
const leavingTime = time.Second

// retireIfCrowded does not keep a worker in which a cut run has left processes: they would go
// on with what it was cut for, at the cost of the next run.
func (w *Worker) retireIfCrowded() {
	if w.concurrency > 1 {
		return
	}
	for pause := 2 * time.Millisecond; w.proc.Descendants() > 1; pause *= 2 {
		if pause > leavingTime/2 {
			w.retire()
			w.proc.Kill()
			return
		}
		time.Sleep(pause)
	}
}

// interrupt asks the process to end the run. Our launchers are told which run is
// meant, so that a SIGINT that comes late does not hit the next one. A plain
// ActionLoop cannot be told; it takes no further run.
func (w *Worker) interrupt(r *run) {
	if !w.framed {
		w.retire()
		w.proc.Interrupt()
		return
	}
	if err := w.stdin.tell(cancelStream, r.id, w.grace); err != nil {
		w.log.Debug("a worker cannot be told that a run is cut", "pid", w.proc.Pid(), "error", err)
		return
	}
	if w.concurrency == 1 { // otherwise it would hit all its runs
		w.proc.Interrupt()
	}
}

// giveUp ends a cut run that did not end by itself. The process takes no
// further run; it ends when it holds no other.
func (w *Worker) giveUp(r *run) {
	w.retire()
	if w.concurrency == 1 {
		w.proc.Kill() // without mu, which a slow output may hold
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.active[r.id] != r: // it has ended just now
	case len(w.active) == 1:
		w.proc.Kill()
	default:
		w.finishCut(r)
	}
}

// retire makes the worker take no further run.
func (w *Worker) retire() {
	w.retireOnce.Do(func() { close(w.retired) })
}

// Retiring reports that the worker takes no further run: it ends as soon as
// those under way have ended.
func (w *Worker) Retiring() bool {
	select {
	case <-w.retired:
		return true
	default:
		return false
	}
}

// killIfIdle ends a retired worker that holds no run.
func (w *Worker) killIfIdle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.active) == 0 {
		w.proc.Kill()
	}
}
