package worker

import (
	"encoding/json"
	"fmt"

	"github.com/whiskaway/whiskaway/function"
)

// endRun ends a run that the function has answered. Everything that the
// process wrote before its answer is in the pipes already, so it is delivered first.
// mu must be held.
func (w *Worker) endRun(r *run, payload []byte) {
	w.logs.drain()
	if !r.fate.CompareAndSwap(nil, &r.answered) {
		w.finishCut(r)
		return
	}
	r.summary.Outcome = function.OutcomeOK
	if len(payload) > 0 {
		var end struct {
			Stream bool `json:"stream"`
		}
		json.Unmarshal(payload, &end) // our own launcher wrote it
		r.summary.Stream = end.Stream
	}
	if r.tooLarge {
		r.summary.Outcome = function.OutcomeTooLarge
		r.summary.Error = w.tooLarge()
	}
	w.release(r)
}

func (w *Worker) tooLarge() string {
	return fmt.Sprintf("the function's answer is larger than the limit of %d bytes", w.resultLimit)
}

// finishCut ends a run that was cut. mu must be held.
func (w *Worker) finishCut(r *run) {
	why := r.fate.Load()
	r.summary.Outcome, r.summary.Error = why.outcome, why.words
	w.release(r)
}

// finishDead ends a run whose process has ended, or never got it. mu must be held.
func (w *Worker) finishDead(r *run, words string) {
	r.fate.CompareAndSwap(nil, &cut{function.OutcomeCrashed, words})
	w.finishCut(r)
}

func (w *Worker) release(r *run) {
	delete(w.active, r.id)
	if r.queue != nil {
		r.queue.close()
	}
	r.ended <- struct{}{}
}
