package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// grace is how much longer than the run's time limit the client waits for the
// host to say so.
const grace = 5 * time.Second

// errOverdue is why the client gave up waiting.
var errOverdue = errors.New("the host did not end the run at its time limit")

// Run sends the run, once. See function.Host: its error means that the run
// certainly never started. That is known when the host says so
// (Whiskaway-Started: no), when no connection could be made or nothing could be
// written to it, and when the time was over before.
func (c *Client) Run(ctx context.Context, id function.ID, by function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	if err := ctx.Err(); err != nil {
		return function.Summary{}, function.AsError(err)
	}
	if act.Timeout < 0 {
		return function.Summary{}, function.Errorf(function.CodeTimeout, "the time limit was over before the run was sent to %s", c.name)
	}
	var deadline time.Time
	if act.Timeout > 0 {
		deadline = time.Now().Add(act.Timeout + grace)
	}
	g := c.gears.get()
	defer c.gears.put(g)
	if err := g.compose(c.runHead, id, by, act); err != nil {
		return function.Summary{}, err
	}
	l, err := c.begin(ctx, deadline, g)
	if err != nil {
		return function.Summary{}, err
	}
	sum, whole, err := c.exchange(ctx, l, g, out)
	if l.done(whole) {
		c.lanes.give(l)
	}
	return sum, err
}

// begin returns the lane that the request's first part went into. Its error
// means that nothing of the request has left. A connection on which nothing
// could be written was closed while it was idle: then there is another.
func (c *Client) begin(ctx context.Context, deadline time.Time, g *gear) (*lane, error) {
	for {
		l, err := c.lanes.take(ctx, deadline)
		if err != nil {
			return nil, c.unsent(ctx, err)
		}
		if l.waitedFor && !deadline.IsZero() {
			left := time.Until(deadline) - grace
			if left <= 0 {
				c.lanes.give(l)
				return nil, c.unsent(ctx, context.DeadlineExceeded)
			}
			g.shorten(left)
		}
		sent, err := l.send(ctx, g.first)
		if sent || err == nil {
			return l, nil // what became of it is told by the answer
		}
		reused := l.used
		l.done(false)
		if !reused || ctx.Err() != nil {
			return nil, c.unsent(ctx, err)
		}
	}
}

// unsent says why nothing of a request has left.
func (c *Client) unsent(ctx context.Context, err error) *function.Error {
	if ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)) {
		return function.AsError(context.DeadlineExceeded)
	}
	return c.broken(ctx, err)
}

// exchange sends what is left of the request and reads the answer. whole means
// that it was read to its end, and that the connection may go on.
func (c *Client) exchange(ctx context.Context, l *lane, g *gear, out function.Output) (sum function.Summary, whole bool, err error) {
	if g.rest != nil && l.failed == nil {
		l.stream(ctx, g.rest, g.left)
	}
	g.in.Reset(l)
	r, err := readReply(g.in)
	if err != nil {
		return c.lost(ctx, cmp.Or(l.failed, err)), false, nil
	}
	g.body = newReplyBody(g.in, &r)
	if r.status != http.StatusOK {
		sum, err = c.refused(&http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(&g.body)})
		return sum, !r.last && g.body.finish(), err
	}
	sum, ended, err := c.readFrames(ctx, &g.src, out)
	return sum, ended && !r.last && g.body.finish(), err
}

// refused reads an answer that is not frames.
func (c *Client) refused(resp *http.Response) (function.Summary, error) {
	if first(resp.Header, headerStarted) == "no" {
		return function.Summary{}, refusalFrom(resp, c.name)
	}
	e := refusalFrom(resp, c.name)
	return function.Lost(fmt.Sprintf("%s; the run may have started", e.Message)), nil
}

// readFrames hands the frames on until frame 0, and reports whether that came.
// Whatever comes instead of it means that the run is lost.
func (c *Client) readFrames(ctx context.Context, src *source, out function.Output) (sum function.Summary, ended bool, err error) {
	for {
		stream, p, err := src.next()
		if err != nil {
			return c.lost(ctx, err), false, nil
		}
		if stream == function.End {
			return c.ended(p)
		}
		if len(p) == 0 && stream != function.Result {
			continue // a sign of life
		}
		if err := out.Write(stream, p); err != nil {
			return function.Summary{Outcome: function.OutcomeCancelled, Error: "nobody listens to the run any more: " + err.Error()}, false, nil
		}
	}
}

// ended reads frame 0.
func (c *Client) ended(p []byte) (sum function.Summary, ended bool, err error) {
	last, ok := parseEnd(p)
	if !ok {
		return function.Lost(fmt.Sprintf("%s ended the run with what is not a summary", c.name)), false, nil
	}
	if last.Refused != nil {
		return function.Summary{}, true, last.Refused.err()
	}
	return last.Summary, true, nil
}

// lost says how a run ended that may have started and whose end never came:
// because the caller left, or because the host was lost.
func (c *Client) lost(ctx context.Context, err error) function.Summary {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return function.Summary{Outcome: function.OutcomeTimeout, Error: "the time limit is over"}
	case ctx.Err() != nil:
		return function.Summary{Outcome: function.OutcomeCancelled, Error: "the caller left"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errOverdue
		c.Reconnect() // the other connections may pass nothing on either
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the connection was cut")
	}
	return function.Lost(fmt.Sprintf("%s was lost: %v; the run may have started", c.name, err))
}
