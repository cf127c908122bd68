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
		r.summary.Error = fmt.Sprintf("the function's answer is larger than the limit of %d bytes", w.resultLimit)
	}
	if why := r.cut.Load(); r.deaf && why != nil {
		r.summary.Outcome, r.summary.Error = why.outcome, why.words
	}
	w.release(r)
}

// finishDead ends a run whose process has ended. mu must be held.
func (w *Worker) finishDead(r *run, words string) {
	r.summary.Outcome, r.summary.Error = function.OutcomeCrashed, words
	if why := r.cut.Load(); why != nil {
		r.summary.Outcome, r.summary.Error = why.outcome, why.words
	}
	w.release(r)
}

func (w *Worker) release(r *run) {
	delete(w.active, r.id)
	r.done <- struct{}{}
}
