package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/whiskaway/whiskaway/function"
)

var _ TokenKeeper = (*Client)(nil)

// CreateToken makes a token of the host. The client's own must be an admin's.
func (c *Client) CreateToken(ctx context.Context, spec TokenSpec) (CreatedToken, error) {
	body, err := json.Marshal(tokenRequest{Role: spec.Role, Namespace: spec.Namespace, Labels: spec.Labels, TTLms: roundUp(spec.TTL)})
	if err != nil {
		return CreatedToken{}, function.Errorf(function.CodeBadRequest, "writing what the token shall be: %v", err)
	}
	r := c.request(ctx, http.MethodPost, at(c.base, tokensPath))
	r.Header["Content-Type"] = []string{typeJSON}
	r.ContentLength = int64(len(body))
	r.Body = io.NopCloser(bytes.NewReader(body)) // not to be sent twice: no GetBody
	var created CreatedToken
	if err := c.call(ctx, r, &created); err != nil {
		return CreatedToken{}, err
	}
	if _, err := ParseToken(created.Text); err != nil {
		return CreatedToken{}, function.Errorf(function.CodeUnreachable, "%s answered without a token", c.name)
	}
	return created, nil
}

// ListTokens returns the host's tokens. The client's own must be an admin's.
func (c *Client) ListTokens(ctx context.Context) ([]TokenInfo, error) {
	var list []TokenInfo
	err := c.call(ctx, c.request(ctx, http.MethodGet, at(c.base, tokensPath)), &list)
	return list, err
}

// RevokeToken takes a token of the host out. The client's own must be an admin's.
func (c *Client) RevokeToken(ctx context.Context, id string, force bool) error {
	if !isTokenID(id) {
		return function.Errorf(function.CodeBadRequest, "%.80q cannot be a token's id; `whiskaway token list` shows the ids", id)
	}
	u := at(c.base, tokensPath+"/"+id)
	if force {
		u.RawQuery = url.Values{"force": {"1"}}.Encode()
	}
	return c.call(ctx, c.request(ctx, http.MethodDelete, u), nil)
}
