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
	w      *Worker
	ended  chan struct{} // gets one value when the run has ended
	failed chan struct{} // gets one value when its output has failed
	limit  *time.Timer   // runs out at the run's time limit

	// fate is decided once: nil while the run is under way, &answered when its
	// answer came first, and otherwise what cut it.
	fate     atomic.Pointer[cut]
	answered cut

	queue *queue // where runs overlap, what out is

	// These are guarded by Worker.mu.
	id       uint32
	out      function.Output
	summary  function.Summary
	logged   int64 // bytes of logs delivered
	tooLarge bool
	unheard  bool // out has failed
}

func newRun(w *Worker) *run {
	r := &run{w: w, ended: make(chan struct{}, 1), failed: make(chan struct{}, 1), limit: time.NewTimer(time.Hour)}
	r.limit.Stop()
	return r
}

// Run runs the function once. A non-nil error means that the run certainly
// never started, because the worker takes no more, or ctx ended while all slots were taken. Whatever
// else happened is told by the Summary.
//
// When ctx or act.Timeout ends, the function is asked to end, and Run returns when
// it has. If it does so within Config.Grace, the worker goes on. Otherwise it is
// killed, as soon as it holds no other run.
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
	sent := r.send(ctx, body)
	r.limit.Stop()
	if w.Retiring() {
		w.killIfIdle()
	}
	sum := r.handOver()
	w.slots <- r
	w.runs.Add(1)
	if !sent && sum.Outcome == function.OutcomeCrashed {
		return function.Summary{}, errGone
	}
	sum.Passed("function", time.Since(began))
	return sum, nil
}

// errGone is the error of a run that came to a worker that takes no more.
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
	case <-w.retired:
		return nil, errGone
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
	if w.dead || w.Retiring() {
		return false
	}
	select {
	case <-r.failed: // the last run's, which ended otherwise
	default:
	}
	r.fate.Store(nil)
	r.id, r.out, r.summary = w.lastID.Add(1), out, function.Summary{}
	r.logged, r.tooLarge, r.unheard = 0, false, false
	if w.concurrency > 1 {
		r.queue = newQueue(out, r.outputFailed, r.pace(r.id))
		r.out = r.queue
	}
	if timeout > 0 {
		r.limit.Reset(timeout)
	}
	if !w.served {
		w.logs.drain() // what the start printed may be in the pipes still
	}
	w.active[r.id] = r
	w.served = true
	for _, c := range w.idle.take() {
		w.deliverLog(r, c.stream, c.data)
	}
	return true
}

// pace returns what tells the process to hold the items of a run, or to go on.
func (r *run) pace(id uint32) func(hold bool) {
	return func(hold bool) {
		what := goOnStream
		if hold {
			what = holdStream
		}
		if err := r.w.stdin.tell(what, id, r.w.grace); err != nil {
			r.w.log.Debug("a worker cannot be told to hold its items", "pid", r.w.proc.Pid(), "error", err)
		}
	}
}

// send hands the input to the process, and returns when the run has ended.
// sent says whether the process may have started it.
func (r *run) send(ctx context.Context, body []byte) (sent bool) {
	w := r.w
	sent, err := w.stdin.send(w.framed, r.id, body, func(event <-chan struct{}) bool { return r.waitFor(ctx, event) })
	switch {
	case err == nil:
		r.await(ctx)
		return true
	case errors.Is(err, errUnsent):
		w.withdraw(r)
	case errors.Is(err, errPartly):
		w.giveUp(r)
	default:
		w.log.Debug("a worker takes no input", "pid", w.proc.Pid(), "error", err)
		w.killUnlessItEnds()
	}
	<-r.ended
	return sent
}

// withdraw ends a run of which the process has seen nothing. It may have ended
// with the process.
func (w *Worker) withdraw(r *run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active[r.id] == r {
		w.finishDead(r, "the run was not handed over")
	}
}

// handOver returns the run's summary when all of its output was taken.
func (r *run) handOver() function.Summary {
	sum := r.summary
	if r.queue != nil {
		if err := r.queue.wait(); err != nil && sum.Outcome == function.OutcomeOK {
			why := unheard(err)
			sum.Outcome, sum.Error = why.outcome, why.words
		}
	}
	r.out, r.queue = nil, nil
	return sum
}
