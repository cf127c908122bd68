package wire

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/stream"
)

// An itemOutput hands on the items of a run, and not its logs: who wants those as
// well takes frames.
type itemOutput struct{ items *stream.Writer }

// Write implements function.Output.
func (o itemOutput) Write(s function.Stream, p []byte) error {
	if s != function.Result {
		return nil
	}
	return o.items.Item(p)
}

// runItems serves a /run whose caller wants the items of the result instead of
// frames. Its error means that the run never started.
func (h *Handler) runItems(ctx context.Context, w http.ResponseWriter, form stream.Form, id function.ID, claim function.Claim, act *function.Activation) error {
	items := stream.NewWriter(w, form, h.answers.unread)
	if act.Timeout > 0 {
		items.Until(time.Now().Add(act.Timeout))
	}
	sum, err := h.runHost(ctx, id, claim, act, itemOutput{items})
	if err != nil {
		if !items.Begun() {
			return err
		}
		sum = function.Lost(err.Error())
	}
	if sum.Outcome != function.OutcomeOK && !items.Begun() {
		writeFailure(w, sum)
		return nil
	}
	items.End(endingOf(sum))
	return nil
}

// endingOf says how a stream ended.
func endingOf(sum function.Summary) stream.Ending {
	e := stream.Ending{Outcome: string(sum.Outcome), Stream: sum.Stream}
	if sum.Outcome != function.OutcomeOK {
		e.Error = failureOf(sum)
	}
	return e
}

// writeFailure answers a run that may have started, and gave no item. It is no
// refusal: nothing says that it may be sent elsewhere.
func writeFailure(w http.ResponseWriter, sum function.Summary) {
	w.Header()["Content-Type"] = []string{typeJSON}
	w.WriteHeader(http.StatusBadGateway)
	w.Write(append(failureOf(sum), '\n')) // who does not listen cannot be told
}

func failureOf(sum function.Summary) []byte {
	text := cmp.Or(sum.Error, "the run ended without a result: "+string(sum.Outcome))
	body, _ := json.Marshal(map[string]string{"error": text}) // strings: cannot fail
	return body
}
