package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A run is one slot of a worker, used by one run after another.
type run struct {
	w       *Worker
	done    chan struct{} // gets one value when the run has ended
	timer   *time.Timer   // calls expire at the run's time limit
	expired chan struct{} // gets one value when expire has returned
	cut     atomic.Pointer[cut]

	// These are guarded by Worker.mu.
	id       uint32
	out      function.Output
	summary  function.Summary
	logged   int64 // bytes of logs delivered
	unsent   bool  // the process cannot have started it
	tooLarge bool
	deaf     bool // out has failed
}

// A cut is why we ended a run before it ended itself.
type cut struct {
	outcome function.Outcome
	words   string
}

func newRun(w *Worker) *run {
	r := &run{w: w, done: make(chan struct{}, 1), expired: make(chan struct{}, 1)}
	r.timer = time.AfterFunc(time.Hour, r.expire)
	r.timer.Stop()
	return r
}

// Run runs the function once. A non-nil error means that the run certainly
// never started, because the worker had ended, or ctx while all slots were taken. Whatever
// else happened is told by the Summary. When ctx or act.Timeout ends, the worker is killed.
//
// All calls of out are made before Run returns, never two at a time. out must
// not block for good once ctx has ended.
func (w *Worker) Run(ctx context.Context, act *function.Activation, out function.Output) (function.Summary, error) {
	body, err := act.Body.Bytes()
	if err != nil {
		return function.Summary{}, function.Errorf(function.CodeInternal, "reading the run's input: %v", err)
	}
	r, err := w.takeSlot(ctx)
	if err != nil {
		return function.Summary{}, err
	}
	began := time.Now()
	if !w.begin(r, out, act.Timeout) {
		w.slots <- r
		return function.Summary{}, errGone
	}
	r.send(ctx, body)
	select {
	case <-r.done:
	case <-ctx.Done():
		r.stop(ctx)
		<-r.done
	}
	if act.Timeout > 0 && !r.timer.Stop() {
		<-r.expired // else it could hit the slot's next run
	}
	sum, unsent := r.summary, r.unsent
	r.out = nil
	w.slots <- r
	w.runs.Add(1)
	if unsent && sum.Outcome == function.OutcomeCrashed {
		return function.Summary{}, errGone
	}
	sum.Passed("function", time.Since(began))
	return sum, nil
}

// errGone is the error of a run that came to a worker that had ended.
var errGone = function.Errorf(function.CodeInternal, "the worker has ended")

func (w *Worker) takeSlot(ctx context.Context) (*run, error) {
	select {
	case r := <-w.slots:
		return r, nil
	default:
	}
	select {
	case r := <-w.slots:
		return r, nil
	case <-w.done:
		return nil, errGone
	case <-ctx.Done():
		return nil, function.AsError(ctx.Err())
	}
}

// begin makes the run active. What was printed before it is the first that it gets.
func (w *Worker) begin(r *run, out function.Output, timeout time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead || w.doomed.Load() {
		return false
	}
	r.id, r.out, r.summary = w.lastID.Add(1), out, function.Summary{}
	r.logged, r.unsent, r.tooLarge, r.deaf = 0, false, false, false
	r.cut.Store(nil)
	if timeout > 0 {
		r.timer.Reset(timeout)
	}
	w.active[r.id] = r
	w.served = true
	for _, c := range w.idle.take() {
		w.deliverLog(r, c.stream, c.text)
	}
	return true
}

// send hands the input to the process. One that does not take it is about to
// end, or is ended: readAnswers then ends the run.
func (r *run) send(ctx context.Context, body []byte) {
	w := r.w
	began, err := w.stdin.send(ctx, w.framed, r.id, body, func() { r.stop(ctx) })
	if !began {
		w.mu.Lock()
		r.unsent = true
		w.mu.Unlock()
	}
	if err == nil {
		return
	}
	w.log.Debug("a worker takes no input", "pid", w.proc.Pid(), "error", err)
	select {
	case <-w.proc.Done():
	case <-ctx.Done():
	case <-time.After(exitGrace):
		w.proc.Kill()
	}
}

// stop cuts the run because ctx has ended.
func (r *run) stop(ctx context.Context) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		r.end(&cut{function.OutcomeTimeout, "the function was ended at its time limit"})
		return
	}
	r.end(&cut{function.OutcomeCancelled, "the run was cancelled"})
}

func (r *run) expire() {
	r.end(&cut{function.OutcomeTimeout, "the function was ended at its time limit"})
	r.expired <- struct{}{}
}

// end kills the worker; the first reason holds.
func (r *run) end(why *cut) {
	r.cut.CompareAndSwap(nil, why)
	r.w.doomed.Store(true) // the run may have been answered at this very moment
	r.w.proc.Kill()
}
