package wire

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// drainTurn is how long one POST /drain waits: shorter than what proxies on the way
// usually allow for an answer. Who wants to wait on asks again.
const drainTurn = 25 * time.Second

var _ function.Drainer = (*Client)(nil)

// drain serves POST /drain, and POST /drain?server=ID at a balancer. 204 says that
// no run is left there, 202 that it takes nothing new and some are.
func (h *Handler) drain(w http.ResponseWriter, r *http.Request, p Principal) error {
	if p.Namespace != "" {
		return notForAll(p, "draining is")
	}
	turn, cancel := context.WithTimeout(r.Context(), drainTurn)
	defer cancel()
	err := drainHost(turn, h.cfg.Host, r.URL.Query().Get("server"))
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case function.CodeOf(err) == function.CodeTimeout:
		w.WriteHeader(http.StatusAccepted)
	default:
		return err
	}
	return nil
}

// drainHost drains the host itself, or the one of its members that has the id.
func drainHost(ctx context.Context, host function.Host, id string) error {
	switch d := host.(type) {
	case function.MemberDrainer:
		if id == "" {
			return function.Errorf(function.CodeBadRequest, "this is a balancer: say which server, as in /drain?server=ID; whiskaway status --json lists the ids")
		}
		return d.Drain(ctx, id)
	case function.Drainer:
		if named, ok := host.(interface{ ID() string }); id != "" && (!ok || named.ID() != id) {
			return function.Errorf(function.CodeBadRequest, "this is a server, and not the one with the id %q", id)
		}
		return d.Drain(ctx)
	}
	return function.Errorf(function.CodeBadRequest, "this host cannot be drained")
}

// Drain empties the server, see function.Drainer. A balancer wants DrainServer.
func (c *Client) Drain(ctx context.Context) error { return c.drain(ctx, "") }

// DrainServer empties a server by its function.ServerStatus.ID: the host itself, or
// one that has joined it.
func (c *Client) DrainServer(ctx context.Context, id string) error {
	return c.drain(ctx, url.Values{"server": {id}}.Encode())
}

func (c *Client) drain(ctx context.Context, query string) error {
	target := *at(c.base, "/drain")
	target.RawQuery = query
	for {
		empty, err := c.drainTurn(ctx, &target)
		if empty || err != nil {
			return err
		}
	}
}

// drainTurn asks once, and reports whether no run is left.
func (c *Client) drainTurn(ctx context.Context, target *url.URL) (empty bool, err error) {
	resp, err := c.transport.RoundTrip(c.request(ctx, http.MethodPost, target))
	if err != nil {
		return false, c.broken(ctx, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusNoContent, c.read(ctx, resp, nil)
}
