package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// silence is how long a watched host may say nothing before it is taken for dead.
const silence = 5 * function.StatusInterval

// maxStatus bounds one status, in bytes.
const maxStatus = 32 << 20

var errSilent = errors.New("no sign of life")

// Watch reads the host's status stream. It ends with CodeUnreachable when the
// stream is cut or silent for five times function.StatusInterval.
func (c *Client) Watch(ctx context.Context, report func(function.Status) error) error {
	listening, give := context.WithCancelCause(ctx)
	defer give(nil)
	alarm := time.AfterFunc(silence, func() { give(errSilent) })
	defer alarm.Stop()
	r := c.request(listening, http.MethodGet, c.statusURL)
	r.Header["Accept"] = []string{typeNDJSON}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return c.unwatched(ctx, listening, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusalFrom(resp, c.name)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, smallBuffer), maxStatus)
	for lines.Scan() {
		alarm.Reset(silence)
		var s function.Status
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return function.Errorf(function.CodeUnreachable, "%s sent a status that is not one: %v", c.name, err)
		}
		if err := report(s); err != nil {
			return err
		}
		alarm.Reset(silence)
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return c.unwatched(ctx, listening, err)
}

// unwatched says why a status stream ended.
func (c *Client) unwatched(ctx, listening context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return function.AsError(fmt.Errorf("watching %s: %w", c.name, ended))
	}
	if errors.Is(context.Cause(listening), errSilent) {
		return function.Errorf(function.CodeUnreachable, "%s has said nothing for %v", c.name, silence)
	}
	return c.broken(ctx, err)
}
