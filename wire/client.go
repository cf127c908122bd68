package wire

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A ClientConfig says where a host is, and how to be let in.
type ClientConfig struct {
	// URL is the host's address: https, or http on loopback.
	URL string
	// Token is the host's token, as ParseToken reads it. Empty: none is sent.
	Token string
	// DialContext makes raw connections; nil: by TCP, or by the proxy that HTTPS_PROXY names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// UserAgent names this program; empty: "whiskaway".
	UserAgent string
	// Log gets what a caller is not told; nil: nowhere.
	Log *slog.Logger
}

// A Client is one host elsewhere. It implements function.Host.
type Client struct {
	name      string          // for messages
	transport *http.Transport // for all calls but Run
	lanes     *lanes          // for Run
	log       *slog.Logger
	base      *url.URL
	close     context.CancelFunc // ends the dials under way, which net/http lets go on
	// What every request needs, made once. Shared, so never changed.
	initURL, renewURL, stopURL, statusURL *url.URL
	version, userAgent, authorization     []string
	runHead                               []byte // what every POST /run begins with
	gears                                 gearPool
	takesZstd                             atomic.Bool // the host said so in its last answer to /init
}

var _ function.Host = (*Client)(nil)

const (
	// idleClient is how long a client keeps an idle connection. It is below
	// idleTimeout, so that the server never closes one first.
	idleClient = 60 * time.Second
	// bufferSize holds a common run's request with its headers, and a common answer.
	bufferSize = 16 << 10
	// smallBuffer is for the connections of all other calls: a balancer keeps one for
	// each server's status, which is a few lines long.
	smallBuffer = 4 << 10
)

// NewClient returns a client; it does not connect yet. Its errors have
// CodeBadRequest: the address or the token cannot be right.
func NewClient(cfg ClientConfig) (*Client, error) {
	u, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	var token Token
	if cfg.Token != "" {
		if token, err = ParseToken(cfg.Token); err != nil {
			return nil, function.Errorf(function.CodeBadRequest, "the token for %s: %v", u, err)
		}
	}
	c := newClient(u.String(), u, newDial(u, token, cfg.DialContext), idleClient)
	if token.Secret != "" {
		c.authorization = []string{"Bearer " + token.Secret}
	}
	if cfg.UserAgent != "" {
		c.userAgent = []string{cfg.UserAgent}
	}
	c.log = orDiscard(cfg.Log)
	if c.runHead, err = c.headOfRuns(); err != nil {
		return nil, function.Errorf(function.CodeBadRequest, "asking %s: %v", u, err)
	}
	return c, nil
}

// newPoolClient returns a client for a server that dials home. dial hands out
// connections that it has dialled; no token is needed on them.
func newPoolClient(name string, dial dialFunc) *Client {
	c := newClient(name, &url.URL{Scheme: "http", Host: "whiskaway.invalid"}, dial, idleDialled)
	c.runHead, _ = c.headOfRuns() // made of constants: cannot fail
	return c
}

func newClient(name string, base *url.URL, dial dialFunc, idle time.Duration) *Client {
	closing, stop := context.WithCancel(context.Background())
	dialOrClose := func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(closing, cancel)()
		conn, err := dial(ctx)
		if err != nil {
			return nil, &unconnected{err}
		}
		return conn, nil
	}
	viaDial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialOrClose(ctx) }
	return &Client{
		name:  name,
		base:  base,
		close: stop,
		lanes: newLanes(dialOrClose, idle),
		transport: &http.Transport{
			DialContext:         viaDial,
			DialTLSContext:      viaDial,
			MaxIdleConns:        0, // no limit but the next
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     idle,
			DisableCompression:  true,
			WriteBufferSize:     smallBuffer,
			ReadBufferSize:      smallBuffer,
			Protocols:           onlyHTTP1(),
		},
		log:       orDiscard(nil),
		initURL:   at(base, "/init"),
		renewURL:  at(base, "/renew"),
		stopURL:   at(base, "/stop"),
		statusURL: at(base, "/status"),
		version:   []string{Version},
		userAgent: []string{"whiskaway"},
	}
}

func onlyHTTP1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

// Close closes the idle connections and ends the dials. Calls that have a
// connection go on; new ones are refused.
func (c *Client) Close() error {
	c.close()
	c.lanes.close()
	c.transport.CloseIdleConnections()
	return nil
}

// Reconnect makes the next calls use new connections. It is for who was frozen:
// its idle connections may have died unseen.
func (c *Client) Reconnect() {
	c.lanes.renew()
	c.transport.CloseIdleConnections()
}

// request returns a request without a body. Its header has what all have.
func (c *Client) request(ctx context.Context, method string, u *url.URL) *http.Request {
	header := make(http.Header, 8)
	header[headerVersion] = c.version
	header["User-Agent"] = c.userAgent
	if c.authorization != nil {
		header["Authorization"] = c.authorization
	}
	r := &http.Request{
		Method: method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return r.WithContext(ctx)
}

// headOfRuns returns the request line of every run and the headers that are the
// same for all, as net/http writes them.
func (c *Client) headOfRuns() ([]byte, error) {
	r := c.request(context.Background(), http.MethodPost, at(c.base, "/run"))
	r.Header["Content-Type"] = []string{typeJSON}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return nil, err
	}
	head := bytes.Replace(b.Bytes(), []byte("Content-Length: 0\r\n"), nil, 1) // each run has its own
	return bytes.TrimSuffix(head, []byte("\r\n")), nil
}

// claim writes whose function a request is about.
func claim(header http.Header, id function.ID, claim function.Claim) {
	header[headerFunction] = []string{id.String()}
	header[headerLease] = []string{claim.Lease}
	if claim.Namespace != "" {
		header[headerNamespace] = []string{claim.Namespace}
	}
}

// unconnected is the error of a dial. It is a type of its own, because the error
// of a context that ended may have any other.
type unconnected struct{ err error }

func (u *unconnected) Error() string { return u.err.Error() }
func (u *unconnected) Unwrap() error { return u.err }

// broken says why a call that may be repeated got no answer.
func (c *Client) broken(ctx context.Context, err error) *function.Error {
	if ended := ctx.Err(); ended != nil {
		return function.AsError(ended)
	}
	var noConn *unconnected
	var known *function.Error
	if errors.As(err, &noConn) && errors.As(noConn.err, &known) {
		return known
	}
	return function.Errorf(function.CodeUnreachable, "the connection to %s broke: %v", c.name, err)
}
