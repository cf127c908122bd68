package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/sandbox"
)

// A Worker is one process that runs one function. Its methods may be called at
// the same time.
type Worker struct {
	proc        *sandbox.Process
	log         *slog.Logger
	logLimit    int64
	resultLimit int64
	grace       time.Duration
	took        time.Duration // from Start to the ack
	framed      bool          // our own launcher, not a plain ActionLoop
	concurrency int

	answers    *input // file descriptor 3; read by one goroutine
	ackMayCome bool   // the answers' reader's: there was no ack yet, and no other line
	stdin      *stdin
	logs       *logPipes
	slots      chan *run // free ones; who runs holds one
	lastID     atomic.Uint32
	runs       atomic.Int64
	stopped    atomic.Bool
	retired    chan struct{} // closed when it takes no further run
	retireOnce sync.Once
	done       chan struct{}

	// mu orders deliveries: it is held from reading log bytes to handing
	// them out. It guards what follows, and the fields of runs that say so.
	mu     sync.Mutex
	active map[uint32]*run
	idle   idleLogs // what was printed while nothing ran
	served bool     // a run has begun: start-up is over
	dead   bool
}

// exitGrace is how long a process that closed its file descriptor 3 may take to
// end by itself, so that its own exit code can be told.
const exitGrace = 2 * time.Second

// Start starts the process and waits for its ack. A function that does not
// start is a *function.Error with CodeInitFailed, with what it printed in Logs. When
// ctx ends first, the process is killed, and the code is CodeTimeout or
// CodeCancelled.
func Start(ctx context.Context, cfg Config) (*Worker, error) {
	began := time.Now()
	cfg = cfg.withDefaults()
	proc, err := sandbox.Start(cfg.sandbox())
	if err != nil {
		return nil, function.Errorf(function.CodeInternal, "starting a worker: %v", err)
	}
	w := &Worker{
		proc: proc, log: cfg.Log, logLimit: cfg.LogLimit, resultLimit: cfg.ResultLimit,
		grace: cfg.Grace, concurrency: 1,
		answers: newInput(proc.Result),
		active:  make(map[uint32]*run),
		retired: make(chan struct{}),
		done:    make(chan struct{}),
	}
	if err := w.openPipes(); err != nil {
		proc.Close()
		return nil, function.Errorf(function.CodeInternal, "starting a worker: %v", err)
	}
	ack, err := w.awaitAck(ctx, cfg.StartTimeout, cfg.Command)
	if err != nil {
		return nil, w.failStart(err, cfg.Command)
	}
	w.agree(ack, cfg.Concurrency)
	w.took = time.Since(began)
	go w.serve()
	return w, nil
}

// agree sets what the process's ack offers, as far as it is wanted. The log
// readers run already, so it takes their lock.
func (w *Worker) agree(a ack, wanted int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.framed = a.Whiskaway > 0
	if w.framed {
		w.concurrency = min(max(a.Concurrency, 1), wanted)
	}
	w.slots = make(chan *run, w.concurrency)
	for range w.concurrency {
		w.slots <- newRun(w)
	}
}

func (w *Worker) openPipes() error {
	var err error
	if w.stdin, err = newStdin(w.proc.Stdin); err != nil {
		return err
	}
	w.logs, err = openLogs(w)
	return err
}

// serve reads answers until the process ends, and then ends what is left. Stop waits for it.
func (w *Worker) serve() {
	err := w.readAnswers()
	w.log.Debug("a worker ends", "pid", w.proc.Pid(), "reason", err)
	w.awaitExit()
	words := w.endWords()
	w.mu.Lock()
	w.dead = true
	for _, r := range w.active {
		w.finishDead(r, words)
	}
	w.mu.Unlock()
	w.proc.Close()
	close(w.done)
}

// awaitExit returns when the process has ended and its logs were delivered.
func (w *Worker) awaitExit() {
	w.killUnlessItEnds()
	<-w.proc.Done()
	w.logs.wait()
}

// killUnlessItEnds gives a process that closed a pipe the time to end by itself.
func (w *Worker) killUnlessItEnds() {
	select {
	case <-w.proc.Done():
	case <-time.After(exitGrace):
		w.proc.Kill()
	}
}

// endWords says why the process ended.
func (w *Worker) endWords() string {
	if w.stopped.Load() {
		return "the worker was stopped while the function ran"
	}
	exit := w.proc.Exit()
	if exit.Cause != "" {
		return "the function's process " + exit.Cause
	}
	return "the function's process " + exit.Words() + " without an answer"
}

// Done is closed when the process and all its descendants have ended.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Concurrency is how many runs the process takes at once.
func (w *Worker) Concurrency() int { return w.concurrency }

// StartTook is the time from Start to the ack, with the function's setup.
func (w *Worker) StartTook() time.Duration { return w.took }

// Pid is the process id of the worker's shim, below which its processes are.
func (w *Worker) Pid() int { return w.proc.Pid() }

// Memory is what its processes hold in memory, in bytes; see sandbox.Process.
func (w *Worker) Memory() int64 { return w.proc.Memory() }

// Runs counts the runs that have ended.
func (w *Worker) Runs() int64 { return w.runs.Load() }

// End kills the process, and does not wait for its end; see Done. Runs that are
// under way end as crashed. cause completes a sentence that begins "the
// function's process ...".
func (w *Worker) End(cause string) {
	w.retire()
	w.proc.KillFor(cause)
}

// Stop kills the process and waits for its end. Runs that are under way end as
// crashed.
func (w *Worker) Stop() {
	w.stopped.Store(true)
	w.retire()
	w.proc.Kill()
	<-w.done
}
