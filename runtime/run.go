package runtime

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/stream"
)

// serveRun answers /run. The logs end before the answer begins, so that the
// platform never reads an answer and misses its logs.
func (r *Runtime) serveRun(w http.ResponseWriter, req *http.Request, start time.Time) {
	if r.running.Add(1) > 1 && !r.cfg.AllowConcurrent {
		r.mixed.Do(r.tellMixed)
	}
	defer r.running.Add(-1)
	if form := stream.Asked(req.Header["Accept"]); form != stream.None {
		r.serveStream(w, req, form, start)
		return
	}
	out := r.takeOutput()
	out.logs.tag = r.tagOf(req)
	a, sum := r.run(req, out)
	sum.Passed("runtime", time.Since(start))
	setTimes(w.Header(), &sum)
	out.logs.finish()
	send(w, a)
	r.giveOutput(out)
}

func (r *Runtime) tellMixed() {
	r.cfg.Log.Warn("runs overlap although the platform did not announce it; their log lines mix")
}

// run runs the function once, and says what the platform gets.
func (r *Runtime) run(req *http.Request, out *output) (answer, function.Summary) {
	fn := r.function.Load()
	if fn == nil {
		return errorAnswer(http.StatusBadGateway, "Cannot run an action before it is initialized."), function.Summary{}
	}
	body, err := function.ReadBody(req.Body, req.ContentLength, r.cfg.Body)
	if err != nil {
		return refusedBody(err), function.Summary{}
	}
	defer body.Close()
	act := function.Activation{Body: body, Trace: req.Header.Get("Traceparent")}
	var deadline time.Time
	now := time.Now()
	if act.Timeout = timeLeft(bodyDeadline(body, r.cfg.Body.Memory), now); act.Timeout > 0 {
		deadline = now.Add(act.Timeout)
		out.until(deadline)
	}
	sum, err := fn.run(req.Context(), &act, deadline, out)
	if err != nil {
		return r.refused(err, fn.warm.Load(), out), sum
	}
	if told := (*function.Error)(nil); sum.Outcome == function.OutcomeCancelled && errors.As(context.Cause(req.Context()), &told) {
		sum.Error = told.Message // it was not the caller who left
	}
	if sum.Outcome == function.OutcomeOK && !fn.warm.Load() {
		fn.warm.Store(true)
	}
	if out.items != nil {
		return out.streamed(sum, act.Timeout), sum
	}
	return ended(sum, act.Timeout, &out.result), sum
}

// refusedBody answers a /run whose body could not be read.
func refusedBody(err error) answer {
	e := function.AsError(err)
	status := http.StatusBadRequest
	switch e.Code {
	case function.CodeTooLarge:
		status = http.StatusRequestEntityTooLarge
	case function.CodeInternal:
		status = http.StatusBadGateway
	}
	return errorAnswer(status, e.Message)
}

// ended answers a run that may have started. limit is the time that it had.
func ended(sum function.Summary, limit time.Duration, res *result) answer {
	switch {
	case res.tooLarge:
		return tooLarge(res.limit)
	case sum.Outcome != function.OutcomeOK:
		return errorAnswer(http.StatusBadGateway, outcomeText(sum, limit))
	case sum.Stream:
		return collected(res)
	case !res.isCollection():
		return errorAnswer(http.StatusBadGateway, "The action did not return a dictionary or array.")
	}
	return answer{http.StatusOK, res.buf}
}

func tooLarge(limit int) answer {
	return errorAnswer(http.StatusBadGateway, fmt.Sprintf("The action's result is above the limit of %d bytes.", limit))
}

// outcomeText says how a run ended that gave no result.
func outcomeText(sum function.Summary, limit time.Duration) string {
	if sum.Outcome == function.OutcomeTimeout {
		return timeoutText(limit) // the host's words say no more
	}
	text := fmt.Sprintf("The action ended in a way that this runtime does not know, %q", sum.Outcome)
	switch sum.Outcome {
	case function.OutcomeCrashed:
		text = "The action ended"
		if sum.Error == "" {
			text = "The action ended without an answer"
		}
	case function.OutcomeCancelled:
		text = "The action was cancelled"
	case function.OutcomeTooLarge:
		text = "The action's result is too large"
	case function.OutcomeLost:
		text = "The machine that ran the action was lost; it may have run, so it is not repeated"
	}
	if sum.Error == "" {
		return text + "."
	}
	return text + ": " + strings.TrimSuffix(sum.Error, ".") + "."
}

func timeoutText(limit time.Duration) string {
	if limit <= 0 {
		return "The action was ended at its time limit."
	}
	return fmt.Sprintf("The action was ended at its time limit; it had %d milliseconds.", limit.Milliseconds())
}

// refused answers a run that certainly never started.
func (r *Runtime) refused(err error, warm bool, out *output) answer {
	e := function.AsError(err)
	out.logs.write(stderr, []byte(e.Logs))
	r.cfg.Log.Info("run refused", "code", e.Code)
	return errorAnswer(refusedStatus(e.Code, warm), "The action could not run: "+e.Message)
}

// refusedStatus is 503 where the platform then tries elsewhere safely: with an
// older invoker only a container that has answered before may say so, else
// the activation is lost. A host that is busy or ends may be different from the one that
// another container finds; what no host can do, or no network, will not be.
func refusedStatus(code function.Code, warm bool) int {
	if warm && (code == function.CodeBusy || code == function.CodeDraining) {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}
