package runtime

import (
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/stream"
)

// serveStream answers a /run whose caller wants the items as they come. What fails
// before the first one is answered as ever.
func (r *Runtime) serveStream(w http.ResponseWriter, req *http.Request, form stream.Form, start time.Time) {
	out := r.takeOutput()
	out.logs.tag = r.tagOf(req)
	out.items = stream.NewWriter(w, form, r.unread)
	a, sum := r.run(req, out)
	sum.Passed("runtime", time.Since(start))
	out.logs.finish()
	if a.status != http.StatusOK && !out.items.Begun() {
		setTimes(w.Header(), &sum)
		send(w, a)
	} else {
		out.items.End(out.ending(a, sum))
		setTrailers(w.Header(), &sum)
	}
	r.giveOutput(out)
}

// ending says how a stream ended that may have begun. a is what a caller who reads
// none would have got.
func (o *output) ending(a answer, sum function.Summary) stream.Ending {
	e := stream.Ending{Outcome: string(sum.Outcome), Stream: sum.Stream}
	if a.status == http.StatusOK {
		return e
	}
	e.Error = a.body
	switch {
	case o.result.tooLarge:
		e.Outcome = string(function.OutcomeTooLarge)
	case sum.Outcome == function.OutcomeOK:
		e.Outcome = stream.DeveloperError
	case sum.Outcome == "": // the host refused it after an item, against the rules
		e.Outcome = string(function.OutcomeLost)
	}
	return e
}

// setTrailers tells behind a stream what setTimes tells before another answer: only
// then is it known.
func setTrailers(h http.Header, sum *function.Summary) {
	times := make(http.Header, 3)
	setTimes(times, sum)
	for name, values := range times {
		h[http.TrailerPrefix+name] = values
	}
}

// collected answers with the one object that a streamed result comes to.
func collected(res *result) answer {
	body := stream.Collect(res.buf, res.ends)
	if len(body) > res.limit { // with what lies around the items
		return tooLarge(res.limit)
	}
	return answer{http.StatusOK, body}
}

// until tells who reads a stream when the run's time is over.
func (o *output) until(deadline time.Time) {
	if o.items != nil {
		o.items.Until(deadline)
	}
}

// item hands an item on to who reads the stream. Each may be as large as a result.
func (o *output) item(p []byte) error {
	if len(p) > o.result.limit {
		o.result.tooLarge = true
		return errResultTooLarge
	}
	o.collection = isCollection(p)
	return o.items.Item(p)
}

// streamed is ended for a run whose items have left already.
func (o *output) streamed(sum function.Summary, limit time.Duration) answer {
	if sum.Outcome == function.OutcomeOK && (sum.Stream || o.collection) {
		return answer{http.StatusOK, nil}
	}
	return ended(sum, limit, &o.result)
}
