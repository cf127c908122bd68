package openserverless

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// serveRun runs a function once.
func (f *Face) serveRun(r *http.Request) ([]byte, error) {
	body, err := function.ReadBody(r.Body, r.ContentLength, f.cfg.Body)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := body.Bytes()
	if err != nil {
		return nil, err
	}
	fields, err := members(text)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The body of /run is not what was expected: %v.", err)
	}
	n, fields, err := splitNames(fields)
	if err != nil {
		return nil, err
	}
	s, err := f.sessions.begin(n)
	if err != nil {
		f.tell(err, n)
		return nil, err
	}
	defer f.end(r.Context(), s)
	act := function.Activation{Body: function.BytesBody(s.platformBody(fields)), Trace: r.Header.Get("Traceparent")}
	return f.run(r.Context(), s, &act, deadlineOf(fields))
}

// tell logs what an operator can do something about.
func (f *Face) tell(err error, n names) {
	if err == error(errAmbiguous) {
		f.cfg.Log.Warn("a run was refused: its client sends no proxiedActionID, and its actionCodeHash names several functions", "hash", n.hash)
	}
}

// end prolongs the lease. That the Host has forgotten the function is no error: the
// next run starts it again.
func (f *Face) end(ctx context.Context, s *session) {
	if !f.sessions.end(s) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hostPatience)
	defer cancel()
	err := f.cfg.Host.Renew(ctx, s.id, f.claim(s), f.cfg.Idle)
	switch function.CodeOf(err) {
	case "", function.CodeUnknownFunction, function.CodeDraining:
		return
	}
	f.cfg.Log.Warn("a client's lease could not be renewed", "error", err)
}

// platformBody returns a run's body as a platform would have sent it: without the names, and
// with the fields that this client told at its /init only.
func (s *session) platformBody(fields []member) []byte {
	var all [][]byte
	there := map[string]bool{}
	for _, f := range fields {
		all = append(all, f.text)
		there[f.name] = true
	}
	if !there["value"] { // their client leaves out an empty one
		all = append(all, []byte(`"value":{}`))
	}
	for _, f := range s.fields {
		if !there[f.name] {
			all = append(all, f.text)
		}
	}
	return compose(all)
}

// deadlineOf returns the digits of the field "deadline", a number or a text.
func deadlineOf(fields []member) string {
	for _, f := range fields {
		if f.name != "deadline" {
			continue
		}
		var text string
		if json.Unmarshal(f.value, &text) != nil {
			return string(f.value)
		}
		return text
	}
	return ""
}

// run runs the function, and starts it again first when the Host has forgotten it.
func (f *Face) run(ctx context.Context, s *session, act *function.Activation, deadline string) ([]byte, error) {
	now := time.Now()
	limit := timeLeft(deadline, now)
	act.Timeout = limit
	out := &output{limit: f.cfg.MaxResult}
	sum, err := f.cfg.Host.Run(ctx, s.id, f.claim(s), act, out)
	if function.CodeOf(err) == function.CodeUnknownFunction {
		if limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, now.Add(limit))
			defer cancel()
		}
		if err = f.revive(ctx, s); err == nil {
			sum, err = f.runAgain(ctx, s, act, now, out)
		}
	}
	if err != nil {
		return nil, runRefusal(err)
	}
	return out.answer(sum, limit)
}

func (f *Face) runAgain(ctx context.Context, s *session, act *function.Activation, began time.Time, out *output) (function.Summary, error) {
	if act.Timeout > 0 {
		if act.Timeout -= time.Since(began); act.Timeout <= 0 {
			return function.Summary{}, context.DeadlineExceeded
		}
	}
	return f.cfg.Host.Run(ctx, s.id, f.claim(s), act, out)
}

// revive starts a function again. Its code is with the Host.
func (f *Face) revive(ctx context.Context, s *session) error {
	if !f.sessions.has(s) {
		return errUnknown
	}
	spec, err := f.sessions.files.spec(s)
	if err != nil {
		return err
	}
	f.cfg.Log.Info("a client's function is started again", "function", spec.FullName())
	_, err = f.cfg.Host.Init(ctx, spec, f.leaseOf(s))
	if function.CodeOf(err) == function.CodeCodeMissing {
		return refuse(http.StatusNotFound, "Action not found in remote runtime: its code is no longer here. Initialize it again.")
	}
	if !f.sessions.has(s) { // stopped meanwhile
		f.release(ctx, s)
	}
	return err
}

// runRefusal answers a run that certainly never started.
func runRefusal(err error) error {
	e := function.AsError(err)
	text := fmt.Sprintf("The action could not run: %s%s", e.Message, quoteLogs("logs", []byte(e.Logs)))
	if r := refusalOf(err); r.status != http.StatusBadGateway {
		return refuse(r.status, "%s", r.text)
	}
	return refuse(http.StatusBadGateway, "%s", text)
}
