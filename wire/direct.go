package wire

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// redialEvery is how often it is tried whether a server can be dialled, both while
	// it can and while it cannot.
	redialEvery = 15 * time.Second
	// redialLimit bounds one such try.
	redialLimit = 10 * time.Second
)

// A direct is a server that has dialled home and can be dialled too. Its status comes by the
// connections that it has dialled, and Inits, code and drains go by them; they are there for all else as
// long as it cannot be dialled: where a call has found that out, it was certainly not begun.
type direct struct {
	home, dialled *Client
	conns         *pool // those that we have dialled; only to close them, in use or not
	log           *slog.Logger
	good          atomic.Bool   // it could be dialled when that was last tried
	doubt         chan struct{} // has an entry when that shall be tried at once
}

var (
	_ function.Host    = (*direct)(nil)
	_ function.Drainer = (*direct)(nil)
)

// newDirect returns a Host that goes by home until keep has found a better way.
func newDirect(home *Client, req joinRequest, log *slog.Logger) (*direct, error) {
	a := req.advertised
	u, err := a.check()
	if err != nil {
		return nil, err
	}
	conns := newPool(time.Now)
	dialled, err := NewClient(ClientConfig{URL: a.URL, Token: a.Token, Log: log, DialContext: holding(conns, dialAdvertised(u, req.sameMachine))})
	if err != nil {
		return nil, err
	}
	return &direct{home: home, dialled: dialled, conns: conns, log: log.With("url", a.URL), doubt: make(chan struct{}, 1)}, nil
}

// holding dials, and lets conns know the connection.
func holding(conns *pool, dial rawDial) rawDial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return conns.hold(conn)
	}
}

// keep finds out again and again whether the server can be dialled, until ctx ends. It says
// so once for each change.
func (d *direct) keep(ctx context.Context) {
	ticker := time.NewTicker(redialEvery)
	defer ticker.Stop()
	for said, before := false, false; ; {
		err := d.try(ctx)
		if ctx.Err() != nil {
			return
		}
		now := err == nil
		if !said || now != before {
			d.tell(err)
		}
		said, before = true, now
		d.good.Store(now)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-d.doubt:
		}
	}
}

// try asks the server by a connection that we dial for what does nothing, but needs the token.
func (d *direct) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redialLimit)
	defer cancel()
	return d.dialled.Stop(ctx, function.ID{}, function.Claim{Lease: function.NewLeaseID()})
}

func (d *direct) tell(err error) {
	if err == nil {
		d.log.Info("the server can be dialled: runs go there directly")
		return
	}
	d.log.Warn("the server cannot be dialled: runs go by the connections that it has dialled", "error", err)
}

// failed reports whether a call that was dialled shall go by home. Its error says that
// nothing has started, and that not the server itself has refused.
func (d *direct) failed(ctx context.Context, err error) bool {
	switch function.CodeOf(err) {
	case function.CodeUnreachable, function.CodeUnauthorized, function.CodeForbidden:
		d.suspect()
		return ctx.Err() == nil
	}
	return false
}

// suspect lets calls go by home until the server was dialled once more, by a new connection.
func (d *direct) suspect() {
	d.good.Store(false)
	d.dialled.Reconnect()
	select {
	case d.doubt <- struct{}{}:
	default:
	}
}

// Run sends the run, once; see function.Host.
func (d *direct) Run(ctx context.Context, id function.ID, by function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
	if d.good.Load() {
		sum, err := d.dialled.Run(ctx, id, by, act, out)
		if sum.Outcome == function.OutcomeLost {
			d.suspect()
		}
		if !d.failed(ctx, err) {
			return sum, err
		}
	}
	return d.home.Run(ctx, id, by, act, out)
}

// Init hands over the spec, always by home: there the server knows that its balancer asks, which may have
// granted it labels of which it does not know. See function.Host.
func (d *direct) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	return d.home.Init(ctx, spec, lease)
}

// PutCode hands over code, by home as Init does, which has asked for it: there it was said whether
// code may come compressed. See function.Host.
func (d *direct) PutCode(ctx context.Context, namespace string, digest function.Digest, code io.Reader) error {
	return d.home.PutCode(ctx, namespace, digest, code)
}

// Renew prolongs the lease; see function.Host.
func (d *direct) Renew(ctx context.Context, id function.ID, by function.Claim, ttl time.Duration) error {
	return d.call(ctx, func(c *Client) error { return c.Renew(ctx, id, by, ttl) })
}

// Stop ends the lease; see function.Host.
func (d *direct) Stop(ctx context.Context, id function.ID, by function.Claim) error {
	return d.call(ctx, func(c *Client) error { return c.Stop(ctx, id, by) })
}

// call makes a call that may be repeated.
func (d *direct) call(ctx context.Context, ask func(*Client) error) error {
	if d.good.Load() {
		if err := ask(d.dialled); !d.failed(ctx, err) {
			return err
		}
	}
	return ask(d.home)
}

// Watch reads the server's status; see function.Host.
func (d *direct) Watch(ctx context.Context, report func(function.Status) error) error {
	return d.home.Watch(ctx, report)
}

// Drain empties the server; see function.Drainer.
func (d *direct) Drain(ctx context.Context) error { return d.home.Drain(ctx) }
