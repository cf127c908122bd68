package wire

import (
	"context"
	"net/http"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/stream"
)

// run serves POST /run. Its error means that the run never started.
func (h *Handler) run(w http.ResponseWriter, r *http.Request, p Principal) error {
	id, claim, err := claimOf(r.Header, p)
	if err != nil {
		return err
	}
	timeout, err := durationHeader(r.Header, headerTimeout)
	if err != nil {
		return err
	}
	body, err := function.ReadBody(r.Body, r.ContentLength, h.cfg.Body)
	if err != nil {
		return err
	}
	defer body.Close()
	act := function.Activation{Body: body, Timeout: timeout, Trace: first(r.Header, headerTrace)}
	if form := stream.Asked(r.Header["Accept"]); form != stream.None {
		return h.runItems(r.Context(), w, form, id, claim, &act)
	}
	a := h.answers.get(w, h.framesType)
	sum, err := h.runHost(r.Context(), id, claim, &act, a)
	err = a.end(sum, err)
	h.answers.put(a)
	return err
}

// runHost calls the host. A panic becomes a lost run: it may have started.
func (h *Handler) runHost(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (sum function.Summary, err error) {
	defer func() {
		if v := recover(); v != nil {
			h.logPanic("/run", v)
			sum, err = function.Lost("the host failed while it ran this; its log says why"), nil
		}
	}()
	return h.cfg.Host.Run(ctx, id, claim, act, out)
}
