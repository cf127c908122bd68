package openserverless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	for {
		answer, err := f.runOnce(r, body)
		// It never started, for whose session it was has stopped meanwhile. Where only the
		// hash is known that may have been another client's.
		if !errors.Is(err, errStopped) {
			return answer, err
		}
	}
}

// runOnce runs the function that body means now.
func (f *Face) runOnce(r *http.Request, body function.Body) ([]byte, error) {
	s, input, deadline, err := f.begin(body)
	if err != nil {
		return nil, err
	}
	defer f.end(r.Context(), s)
	defer input.Close()
	act := function.Activation{Body: input, Trace: r.Header.Get("Traceparent")}
	return f.run(r.Context(), s, &act, deadline)
}

// begin returns the session that a run is for, what the function gets, and the run's deadline.
// The caller ends with end, and closes the input.
func (f *Face) begin(body function.Body) (s *session, input function.Body, deadline string, err error) {
	text, err := body.Bytes()
	if err != nil {
		return nil, input, "", err
	}
	fields, err := members(text)
	if err != nil {
		return nil, input, "", refuse(http.StatusBadRequest, "The body of /run is not what was expected: %v.", err)
	}
	n, fields, err := splitNames(fields)
	if err != nil {
		return nil, input, "", err
	}
	if s, err = f.sessions.begin(n); err != nil {
		if errors.Is(err, errAmbiguous) { // an operator can do something about it
			f.cfg.Log.Warn("a run was refused: its client sends no proxiedActionID, and its actionCodeHash names several functions", "hash", n.hash)
		}
		return nil, input, "", err
	}
	if input, err = f.keep(s.platformBody(fields)); err != nil {
		f.sessions.end(s)
		return nil, input, "", err
	}
	return s, input, deadlineOf(fields), nil
}

// keep keeps a run's input while it waits: a large one on disk, as there may be many.
func (f *Face) keep(text []byte) (function.Body, error) {
	size := int64(len(text))
	if size <= f.cfg.Body.Memory {
		return function.BytesBody(text), nil
	}
	return function.ReadBody(bytes.NewReader(text), size, function.BodyLimits{Memory: f.cfg.Body.Memory, Max: size})
}

// errStopped is for a run that never started, because its client's session ended first.
var errStopped = errors.New("the session has been stopped")

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
		sum, err = f.reviveAndRun(ctx, s, act, now, out)
	}
	switch {
	case errors.Is(err, errStopped):
		return nil, err
	case err != nil:
		return nil, runRefusal(err)
	}
	return out.answer(sum, limit)
}

// reviveAndRun is for a run that the Host refused at began, as it did not know the function.
func (f *Face) reviveAndRun(ctx context.Context, s *session, act *function.Activation, began time.Time, out *output) (function.Summary, error) {
	if act.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, began.Add(act.Timeout))
		defer cancel()
	}
	if err := f.revive(ctx, s); err != nil {
		return function.Summary{}, err
	}
	again := *act
	if act.Timeout > 0 {
		if again.Timeout -= time.Since(began); again.Timeout <= 0 {
			return function.Summary{}, context.DeadlineExceeded
		}
	}
	sum, err := f.cfg.Host.Run(ctx, s.id, f.claim(s), &again, out)
	if function.CodeOf(err) == function.CodeUnknownFunction && !f.sessions.has(s) {
		return sum, errStopped
	}
	return sum, err
}

// revive starts a function again. Its code is with the Host.
func (f *Face) revive(ctx context.Context, s *session) error {
	spec, err := f.sessions.files.spec(s)
	if !f.sessions.has(s) {
		return errStopped
	}
	if err != nil {
		return err
	}
	f.cfg.Log.Info("a client's function is started again", "function", spec.FullName())
	_, err = f.cfg.Host.Init(ctx, spec, f.leaseOf(s))
	if function.CodeOf(err) == function.CodeCodeMissing {
		return refuse(http.StatusNotFound, "Action not found in remote runtime: its code is no longer here. Initialize it again.")
	}
	if !f.sessions.has(s) {
		f.release(ctx, s)
		return errStopped
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
