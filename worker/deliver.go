package worker

import (
	"fmt"

	"github.com/whiskaway/whiskaway/function"
)

// takeOutput finds the run that output on fd 1 or 2 belongs to. mu must be held.
func (w *Worker) takeOutput(stream function.Stream, p []byte) {
	if w.concurrency > 1 && w.served {
		// Runs overlap, and this carries no run's id: it could be anybody's.
		w.log.Debug("output of no run is dropped", "pid", w.proc.Pid(), "stream", stream, "bytes", len(p))
		return
	}
	for _, r := range w.active { // at most one
		w.deliverLog(r, stream, p)
		return
	}
	w.idle.add(stream, p)
}

// deliverLog delivers up to the log limit, and then says once that it was
// reached. mu must be held.
func (w *Worker) deliverLog(r *run, stream function.Stream, p []byte) {
	if r.logged > w.logLimit {
		return
	}
	room := w.logLimit - r.logged
	r.logged += int64(len(p))
	over := int64(len(p)) > room
	if over {
		p = p[:room]
	}
	w.deliver(r, stream, p)
	if stream == function.Stderr && len(p) > 0 {
		r.midLine = p[len(p)-1] != '\n'
	}
	if over {
		w.deliver(r, function.Stderr, overLimit(w.logLimit, r.midLine))
	}
}

// overLimit is a line of its own, also behind half a line of the function's.
func overLimit(limit int64, midLine bool) []byte {
	before := ""
	if midLine {
		before = "\n"
	}
	return fmt.Appendf(nil, "%swhiskaway: the log limit of %d bytes is reached; the rest of this run's logs is left out\n", before, limit)
}

// deliver hands out bytes. When nobody listens any more, the run is cut. What
// a run answers after it was cut is no answer. mu must be held.
func (w *Worker) deliver(r *run, stream function.Stream, p []byte) {
	if r.unheard || len(p) == 0 && stream != function.Result {
		return
	}
	if stream == function.Result && r.isCut() {
		return
	}
	if err := r.out.Write(stream, p); err != nil {
		r.unheard = true
		r.outputFailed(err)
	}
}
