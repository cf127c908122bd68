package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/server"
	"github.com/whiskaway/whiskaway/wire"
)

// A home is a balancer that a server joins.
type home struct {
	url, token string
	advertised wire.Advertised // the zero value: the balancer cannot dial us
}

func (h home) config() wire.HomeConfig {
	return wire.HomeConfig{URL: h.url, Token: h.token, Advertise: h.advertised}
}

// pairs returns the balancers with their tokens. Without a balancer, c.tokens has at most one entry
// afterwards.
func (c *serverCommand) pairs() ([]home, error) {
	if len(c.tokens) == 1 {
		c.tokens = one(c.tokens[0])
	}
	if len(c.tokens) == 0 {
		token, err := secretOf(c.options.token, "WHISKAWAY_TOKEN_FILE")
		if err != nil {
			return nil, err
		}
		c.tokens = one(token)
	}
	switch n, m := len(c.balancers), len(c.tokens); {
	case n == 0 && m > 1:
		return nil, fmt.Errorf("--token is given %d times: without a balancer it is one, which clients must show", m)
	case n == 1 && m == 0:
		return nil, errors.New("the balancer's join token is missing: give --token; the balancer keeps it in its data directory, tokens/join")
	case n > 0 && n != m:
		return nil, fmt.Errorf("--balancer is given %d times and --token %d times: each balancer has a join token of its own, the first token is for the first balancer", n, m)
	case c.advertise != "" && (n == 0 || c.listen == ""):
		return nil, errors.New("--advertise tells a balancer the address of --listen: it takes --balancer and --listen")
	}
	homes := make([]home, len(c.balancers))
	for i, url := range c.balancers {
		if slices.Contains(c.balancers[:i], url) {
			return nil, fmt.Errorf("--balancer %s is given twice: a server joins a balancer once", url)
		}
		homes[i] = home{url: url, token: c.tokens[i]}
		if c.advertise != "" {
			homes[i].advertised = wire.Advertised{URL: c.advertise, Token: wire.NewSecret(wire.RoleClient)}
		}
		if err := homes[i].config().Check(); err != nil {
			return nil, joinError(url, err)
		}
	}
	return homes, nil
}

// one is a list of s, if that is anything.
func one(s string) []string {
	if s = strings.TrimSpace(s); s == "" {
		return nil
	}
	return []string{s}
}

// advertiseTo adds to the token by which each balancer dials us whose certificate it will
// see. The Authorizer that it returns knows these tokens too.
func (c *serverCommand) advertiseTo(homes []home, face *face, auth wire.Authorizer) wire.Authorizer {
	if c.advertise == "" {
		return auth
	}
	var tokens []wire.Token
	for i := range homes {
		token := wire.Token{Secret: homes[i].advertised.Token}
		if !face.plain() { // else the TLS is somebody else's, with public certificates
			token.Fingerprint = face.fingerprint()
		}
		tokens = append(tokens, token)
		homes[i].advertised.Token = token.Text()
	}
	return wire.WithClients(auth, tokens...)
}

// join joins the balancers in g, and stays joined until ctx ends.
func (c *serverCommand) join(g *errgroup.Group, ctx context.Context, out io.Writer, host *server.Server, homes []home, log *slog.Logger) {
	j := &joining{refusals: make([]error, len(homes)), log: log}
	for i, h := range homes {
		cfg := h.config()
		cfg.ServerID, cfg.Name, cfg.Host, cfg.Log = host.ID(), host.Name(), server.Placed{Server: host}, log
		cfg.OnJoined = func() {
			j.joined(i)
			fmt.Fprintf(out, "joined %s\n", h.url)
		}
		g.Go(func() error { return j.stay(ctx, i, cfg) })
	}
}

// refusedPause is how long a balancer is left alone that has refused us at the first
// join, where others may not have.
const refusedPause = 30 * time.Second

// A joining is what came of the first joins. One balancer's refusal must not end the
// others' service; that all refuse is an error.
type joining struct {
	log *slog.Logger

	mu       sync.Mutex
	serves   bool    // one has let us join
	refusals []error // each balancer's; nil: none yet, or no more
}

// stay keeps the server joined to the i-th balancer until ctx ends.
func (j *joining) stay(ctx context.Context, i int, cfg wire.HomeConfig) error {
	for {
		err := wire.DialHome(ctx, cfg)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		err = joinError(cfg.URL, err)
		if all := j.refused(i, err); all != nil {
			return all
		}
		j.log.Warn("a balancer refuses this server; trying again", "error", err, "in", refusedPause)
		if sleep(ctx, refusedPause) != nil {
			return nil
		}
	}
}

func (j *joining) joined(i int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.serves = true
	j.refusals[i] = nil
}

// refused returns what to end with: all refusals, when there is nobody else.
func (j *joining) refused(i int, err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refusals[i] = err
	if j.serves || slices.Contains(j.refusals, nil) {
		return nil
	}
	return errors.Join(j.refusals...)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// joinError says what to do about a refused join.
func joinError(url string, err error) error {
	switch function.CodeOf(err) {
	case function.CodeUnauthorized, function.CodeForbidden:
		return fmt.Errorf("joining %s: %w; give the join token, which that balancer keeps in its data directory, tokens/join", unnamed(url), err)
	}
	return fmt.Errorf("joining %s: %w", unnamed(url), err)
}
