package openserverless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// errOverdue is why a run was given up: their server knows no time limits.
var errOverdue = errors.New("the time limit is over")

// Run implements function.Host. Their server looks a function up before it starts
// anything, so its 404 is as good as a connection that could not be made: the run
// never started. Whatever else happens once something was sent, it may have run.
func (c *Client) Run(ctx context.Context, id function.ID, by function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	h := c.holds(id, by.Lease)
	switch {
	case h == nil:
		return function.Summary{}, c.errUnknown()
	case ctx.Err() != nil:
		return function.Summary{}, function.AsError(ctx.Err())
	case act.Timeout < 0:
		return function.Summary{}, function.Errorf(function.CodeTimeout, "the time limit was over before the run was sent to %s", c.base)
	}
	text, err := h.runBody(act.Body)
	if err != nil {
		return function.Summary{}, err
	}
	if act.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, act.Timeout, errOverdue)
		defer cancel()
	}
	began := time.Now()
	resp, err := c.post(ctx, "/run", bytes.NewReader(text), int64(len(text)))
	if err != nil {
		if why := c.unsent(ctx, err); why != nil {
			return function.Summary{}, why
		}
		return c.lost(ctx, err), nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		c.forget(claimKey{id, by.Lease}, h)
		return function.Summary{}, c.errUnknown()
	}
	sum := c.ended(ctx, resp, out)
	sum.Passed("server", time.Since(began))
	return sum, nil
}

// runBody returns the platform's body with the names added, and nothing else changed.
func (h *held) runBody(body function.Body) ([]byte, error) {
	text, err := body.Bytes()
	if err != nil {
		return nil, function.Errorf(function.CodeInternal, "%v", err)
	}
	fields, err := members(text)
	if err != nil {
		return nil, function.Errorf(function.CodeBadRequest, "the body of the run cannot be sent to an OpenServerless server: %v", err)
	}
	all := [][]byte{textField(fieldHash, h.hash), textField(fieldActionID, h.actionID)}
	for _, f := range fields {
		if f.name != fieldHash && f.name != fieldActionID {
			all = append(all, f.text)
		}
	}
	return compose(all), nil
}

// ended reads the answer to a run that has been sent, whatever that answer is.
func (c *Client) ended(ctx context.Context, resp *http.Response, out function.Output) function.Summary {
	if resp.StatusCode != http.StatusOK {
		e := readError(resp)
		if e.their {
			return function.Summary{Outcome: function.OutcomeCrashed, Error: e.text, Server: c.base.Host}
		}
		if ctx.Err() != nil {
			return c.lost(ctx, ctx.Err())
		}
		return function.Lost(fmt.Sprintf("asking %s: %s; the run may have started", c.base, e.text))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.lost(ctx, err)
	case len(text) > maxAnswer:
		return function.Summary{Outcome: function.OutcomeTooLarge, Error: fmt.Sprintf("the answer of %s has more than %d bytes", c.base, maxAnswer)}
	}
	a, err := readRunAnswer(text)
	if err != nil {
		return function.Lost(fmt.Sprintf("%s did not answer as an OpenServerless server: %v; the run may have started", c.base, err))
	}
	if err := a.write(out); err != nil {
		return function.Summary{Outcome: function.OutcomeCancelled, Error: "nobody listens to the run any more: " + err.Error()}
	}
	return function.Summary{Outcome: function.OutcomeOK, Server: c.base.Host}
}

// lost says how a run ended whose answer never came.
func (c *Client) lost(ctx context.Context, err error) function.Summary {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return function.Summary{Outcome: function.OutcomeTimeout, Error: errOverdue.Error()}
	case ctx.Err() != nil:
		return function.Summary{Outcome: function.OutcomeCancelled, Error: "the caller left"}
	}
	return function.Lost(fmt.Sprintf("%s was lost: %v; the run may have started", c.base, err))
}

// A runAnswer is what their server answers to a run.
type runAnswer struct {
	response []byte // byte for byte
	out, err string
}

func readRunAnswer(text []byte) (runAnswer, error) {
	fields, err := members(text)
	if err != nil {
		return runAnswer{}, err
	}
	var a runAnswer
	for _, f := range fields {
		var problem error
		switch f.name {
		case "response":
			a.response = f.value
		case "out":
			problem = json.Unmarshal(f.value, &a.out)
		case "err":
			problem = json.Unmarshal(f.value, &a.err)
		}
		if problem != nil {
			return runAnswer{}, fmt.Errorf("its field %q is not a text", f.name)
		}
	}
	if a.response == nil {
		return runAnswer{}, errors.New("it has no response")
	}
	return a, nil
}

func (a runAnswer) write(out function.Output) error {
	for _, part := range []struct {
		stream function.Stream
		text   []byte
	}{
		{function.Stdout, []byte(ownLogs(a.out))}, {function.Stderr, []byte(ownLogs(a.err))}, {function.Result, a.response},
	} {
		if len(part.text) == 0 {
			continue
		}
		if err := out.Write(part.stream, part.text); err != nil {
			return err
		}
	}
	return nil
}

// ownLogs returns what the last run has printed: without its guard line, and without what
// their server has kept of a run before, which ends with a guard line too.
func ownLogs(text string) string {
	text = strings.TrimSuffix(text, guard+"\n")
	if i := strings.LastIndex(text, guard+"\n"); i >= 0 {
		text = text[i+len(guard)+1:]
	}
	return text
}
