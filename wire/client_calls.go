package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Init hands over the spec. How long it may wait is told by ctx's deadline.
func (c *Client) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	req := initRequest{Spec: spec}
	req.Lease.ID, req.Lease.TTLms = lease.ID, lease.TTL.Milliseconds()
	body, err := json.Marshal(req)
	if err != nil {
		return function.ID{}, function.Errorf(function.CodeBadRequest, "writing the function's description: %v", err)
	}
	r := c.request(ctx, http.MethodPost, c.initURL)
	r.Header["Content-Type"] = []string{typeJSON}
	if deadline, ok := ctx.Deadline(); ok {
		r.Header[headerTimeout] = []string{millis(max(time.Until(deadline), time.Millisecond))}
	}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return function.ID{}, c.broken(ctx, err)
	}
	defer resp.Body.Close()
	c.takesZstd.Store(takesZstd(resp.Header))
	var answer initAnswer
	err = c.read(ctx, resp, &answer)
	return answer.ID, err
}

// Renew prolongs the lease.
func (c *Client) Renew(ctx context.Context, id function.ID, by function.Claim, ttl time.Duration) error {
	r := c.request(ctx, http.MethodPost, c.renewURL)
	claim(r.Header, id, by)
	if ttl > 0 {
		r.Header[headerTTL] = []string{millis(ttl)}
	}
	return c.call(ctx, r, nil)
}

// Stop ends the lease.
func (c *Client) Stop(ctx context.Context, id function.ID, by function.Claim) error {
	r := c.request(ctx, http.MethodPost, c.stopURL)
	claim(r.Header, id, by)
	return c.call(ctx, r, nil)
}

// maxAnswer bounds the answers that are read as a whole, in bytes. The longest is a list of maxTokens, each
// with maxTokenLabels of 128 characters.
const maxAnswer = 8 << 20

// call sends a request that may be repeated, and reads its answer into v
// unless that is nil.
func (c *Client) call(ctx context.Context, r *http.Request, v any) error {
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return c.broken(ctx, err)
	}
	defer resp.Body.Close()
	return c.read(ctx, resp, v)
}

// read reads an answer into v unless that is nil.
func (c *Client) read(ctx context.Context, resp *http.Response, v any) error {
	if resp.StatusCode/100 != 2 {
		return refusalFrom(resp, c.name)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.broken(ctx, err)
	}
	if v == nil && first(resp.Header, headerVersion) != "" {
		return nil
	}
	if v == nil || json.Unmarshal(text, v) != nil {
		return function.Errorf(function.CodeUnreachable, "%s", foreignAnswer(resp, c.name))
	}
	return nil
}
