package openserverless

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A ClientConfig says where a server of OpenServerless is.
type ClientConfig struct {
	// URL is the server's address: https, or http on loopback and for the hosts of
	// PlainHTTP. A path is ignored, as OpenServerless's own client does.
	URL string
	// PlainHTTP lists hosts, each as host or host:port, that may be reached without TLS.
	PlainHTTP []string
}

// A Client is one server of OpenServerless, as a function.Host. It shows it no token.
type Client struct {
	base      *url.URL
	transport *http.Transport
	codes     codes
	initing   chan struct{} // held by whoever is in Init: a function is started once

	mu   sync.Mutex
	held map[claimKey]*held
}

var _ function.Host = (*Client)(nil)

// A claimKey is one holder's claim on one function.
type claimKey struct {
	id    function.ID
	lease string
}

// held is what the server knows a claim by.
type held struct {
	actionID, hash string
	code           codeKey
}

// NewClient returns a client; it does not connect yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := parseAddress(cfg.URL, cfg.PlainHTTP)
	if err != nil {
		return nil, err
	}
	return &Client{
		base: base, transport: newTransport(nil), codes: codes{files: map[codeKey]*os.File{}},
		initing: make(chan struct{}, 1), held: map[claimKey]*held{},
	}, nil
}

// Close drops the code. No call may be under way.
func (c *Client) Close() error { return c.codes.closeAll() }

const (
	// dialTimeout bounds how long a connection may take, TLS included.
	dialTimeout = 10 * time.Second
	// maxAnswer bounds an answer, in bytes: a frame is not larger.
	maxAnswer = function.MaxFrame
)

// newTransport returns what sends requests, each on a connection of its own: who
// writes a run into one that is just being closed could not know whether it started.
func newTransport(config *tls.Config) *http.Transport {
	// A dead peer is noticed within ten seconds.
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 4 * time.Second, Interval: 2 * time.Second, Count: 3}}
	secure := &tls.Dialer{NetDialer: dialer, Config: config}
	return &http.Transport{
		DialContext:       unlessUnconnected(dialer.DialContext),
		DialTLSContext:    unlessUnconnected(secure.DialContext),
		DisableKeepAlives: true, DisableCompression: true,
	}
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func unlessUnconnected(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, &unconnected{err}
		}
		return conn, nil
	}
}

// unconnected is the error of a dial: nothing was sent.
type unconnected struct{ err error }

func (u *unconnected) Error() string { return u.err.Error() }
func (u *unconnected) Unwrap() error { return u.err }

// unsent returns why nothing of a request was sent; nil if something may have been.
func (c *Client) unsent(ctx context.Context, err error) error {
	var noConn *unconnected
	if !errors.As(err, &noConn) {
		return nil
	}
	if ctx.Err() != nil {
		return function.AsError(ctx.Err())
	}
	return function.Errorf(function.CodeUnreachable, "cannot reach %s: %v", c.base, noConn.err)
}

// post sends a request. size is the body's length.
func (c *Client) post(ctx context.Context, path string, body io.Reader, size int64) (*http.Response, error) {
	target := *c.base
	target.Path = path
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "whiskaway")
	return c.transport.RoundTrip(r) // which follows no redirect, and repeats nothing
}

// Renew implements function.Host. Their server knows no time to live, so there is
// nothing to do for a claim that it knows.
func (c *Client) Renew(_ context.Context, id function.ID, by function.Claim, _ time.Duration) error {
	if c.holds(id, by.Lease) == nil {
		return c.errUnknown()
	}
	return nil
}

// Stop implements function.Host.
func (c *Client) Stop(ctx context.Context, id function.ID, by function.Claim) error {
	key := claimKey{id, by.Lease}
	h := c.holds(id, by.Lease)
	if h == nil {
		return nil
	}
	c.forget(key, h)
	text := compose([][]byte{textField(fieldHash, h.hash), textField(fieldActionID, h.actionID)})
	resp, err := c.post(ctx, "/stop", bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return function.Errorf(function.CodeUnreachable, "stopping at %s: %v", c.base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		return function.Errorf(function.CodeInternal, "stopping at %s: %s", c.base, readError(resp).text)
	}
	return nil
}

// Watch implements function.Host. Their server tells nothing about itself.
func (c *Client) Watch(ctx context.Context, report func(function.Status) error) error {
	began := time.Now()
	tick := time.NewTicker(function.StatusInterval)
	defer tick.Stop()
	for {
		server := function.ServerStatus{ID: c.base.Host, Name: c.base.Host, Uptime: int64(time.Since(began).Seconds())}
		if err := report(function.Status{Servers: []function.ServerStatus{server}}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (c *Client) holds(id function.ID, lease string) *held {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[claimKey{id, lease}]
}

func (c *Client) hold(key claimKey, h *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[key] = h
}

// forget drops a claim, unless there is a newer one, and its code when nobody else's
// claim has that too.
func (c *Client) forget(key claimKey, h *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[key] != h {
		return
	}
	delete(c.held, key)
	for _, other := range c.held {
		if other.code == h.code {
			return
		}
	}
	c.codes.keep(h.code, nil)
}

func (c *Client) errUnknown() error {
	return function.Errorf(function.CodeUnknownFunction, "the function is not known to %s; init it again", c.base)
}

// newUUID returns a random UUID, as their clients use; see RFC 9562, version 4.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// An errorAnswer is an answer of theirs that is no success.
type errorAnswer struct {
	text  string
	their bool // it is {"error": …}, not that of a proxy on the way
}

// maxError bounds what is read of an error, in bytes.
const maxError = 1 << 20

func readError(resp *http.Response) errorAnswer {
	var e struct{ Error string }
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err == nil && json.Unmarshal(text, &e) == nil && e.Error != "" {
		return errorAnswer{e.Error, true}
	}
	return errorAnswer{text: "it answered with the status " + resp.Status}
}
