package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// dialTimeout bounds how long a connection may take, TLS included.
	dialTimeout = 10 * time.Second
	// deadAfter is when a silent peer is taken for dead. Who notices only by what it sends,
	// such as a server by its status, which goes every 2 s at least, finds out within 10 s.
	deadAfter = 8 * time.Second
)

// keepAlive finds a dead peer within deadAfter.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 4 * time.Second, Interval: time.Second, Count: 4}
}

// A dialFunc makes one connection, ready for HTTP.
type dialFunc func(ctx context.Context) (net.Conn, error)

// parseURL reads the address of a host. Plain http is for loopback only.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return nil, function.Errorf(function.CodeBadRequest, "the address%s is not a URL such as https://gpu.example.com:3234", shown(u, text))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, function.Errorf(function.CodeBadRequest, "the address %q has more than a host and a path; the token is given apart", u.Redacted())
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && function.IsLoopback(u.Host):
	case u.Scheme == "http":
		return nil, function.Errorf(function.CodeBadRequest,
			"%s is plain http to another machine, where all could read the token and the code; use https (plain http is for loopback)", text)
	default:
		return nil, function.Errorf(function.CodeBadRequest, "the scheme of %q is not known; use https, or http on loopback", text)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// at returns the URL of an endpoint of the host u.
func at(u *url.URL, path string) *url.URL {
	full := *u
	full.Path += path
	return &full
}

// shown is an address that is no URL, for an error. What no URL can be made of is shown only where no
// name and password can be in it.
func shown(u *url.URL, text string) string {
	switch {
	case u != nil && u.User != nil:
		return fmt.Sprintf(" %q", u.Redacted())
	case strings.Contains(text, "@"):
		return ""
	}
	return fmt.Sprintf(" %q", text)
}

// newDial returns what connects to the host of u, by TLS if that is its scheme.
// raw is how to reach an address; nil: by TCP, or by the proxy of the environment.
func newDial(u *url.URL, token Token, raw rawDial) dialFunc {
	if raw == nil {
		raw = asEnvironmentSays(u, byTCP())
	}
	addr := net.JoinHostPort(u.Hostname(), portOf(u))
	var config *tls.Config
	if u.Scheme == "https" {
		config = clientTLS(u.Hostname(), token.Fingerprint)
	}
	name := u.Redacted()
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := raw(ctx, "tcp", addr)
		if err == nil && config != nil {
			conn, err = handshake(ctx, conn, config)
		}
		if err != nil {
			return nil, dialError(name, err)
		}
		return conn, nil
	}
}

func handshake(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// dialError says for a person why there is no connection. A host whose
// certificate is wrong is not merely away: time does not mend that, so the code is
// CodeUnauthorized.
func dialError(name string, err error) *function.Error {
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var plain tls.RecordHeaderError
	var proxy *proxyError
	var invalid *tls.CertificateVerificationError
	switch {
	case errors.As(err, &proxy):
		return function.Errorf(function.CodeUnreachable, "cannot reach %s: %v", name, proxy)
	case errors.Is(err, errNotPinned):
		return function.Errorf(function.CodeUnauthorized, "%s: %v", name, err)
	case errors.As(err, &unknown):
		return function.Errorf(function.CodeUnauthorized,
			"the certificate of %s is not trusted; use the token that the balancer printed, it carries the fingerprint", name)
	case errors.As(err, &wrongName):
		return function.Errorf(function.CodeUnauthorized, "the certificate of %s is for another name (%v); use an address that it is for, or a token that carries the fingerprint of a balancer's own authority: that does without names", name, err)
	case errors.As(err, &invalid):
		return function.Errorf(function.CodeUnauthorized, "the certificate of %s is not valid: %v", name, err)
	case errors.As(err, &plain):
		return function.Errorf(function.CodeUnreachable, "%s does not speak TLS; is it plain http on this machine? Then write http:// before it (%v)", name, err)
	case errors.Is(err, context.DeadlineExceeded):
		return function.Errorf(function.CodeUnreachable, "cannot reach %s: no connection within %v", name, dialTimeout)
	}
	return function.Errorf(function.CodeUnreachable, "cannot reach %s: %v", name, err)
}
