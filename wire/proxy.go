package wire

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// A rawDial makes a connection to an address, without TLS.
type rawDial func(ctx context.Context, network, addr string) (net.Conn, error)

// byTCP dials an address itself.
func byTCP() rawDial {
	return (&net.Dialer{KeepAliveConfig: keepAlive(), Control: control}).DialContext
}

// asEnvironmentSays returns how the host of u is reached: directly, or by the proxy that
// HTTPS_PROXY and NO_PROXY name, see net/http's ProxyFromEnvironment. Loopback is always
// reached directly.
func asEnvironmentSays(u *url.URL, directly rawDial) rawDial {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil { // which may quote a password
		return noDial(&proxyError{"HTTPS_PROXY is not a URL such as http://proxy.example.com:3128"})
	}
	if proxy == nil {
		return directly
	}
	return byProxy(proxy)
}

func noDial(err error) rawDial {
	return func(context.Context, string, string) (net.Conn, error) { return nil, err }
}

// byProxy returns what connects by an HTTP proxy's CONNECT (RFC 9110, 9.3.6). What follows
// is between us and the host: the proxy passes it on.
func byProxy(proxy *url.URL) rawDial {
	if proxy.Scheme != "http" && proxy.Scheme != "https" {
		return noDial(&proxyError{fmt.Sprintf("HTTPS_PROXY names a proxy of the kind %q, which is not known here: http and https are", proxy.Scheme)})
	}
	name, dial := (&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String(), byTCP()
	at := net.JoinHostPort(proxy.Hostname(), portOf(proxy))
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, at)
		if err == nil && proxy.Scheme == "https" {
			conn, err = handshake(ctx, conn, clientTLS(proxy.Hostname(), ""))
		}
		if err != nil {
			return nil, proxyFailed(name, err)
		}
		if err := connect(ctx, conn, addr, proxy.User); err != nil {
			conn.Close()
			return nil, proxyFailed(name, err)
		}
		return conn, nil
	}
}

// maxProxyAnswer bounds what is read of a proxy's answer, in bytes.
const maxProxyAnswer = 64 << 10

// connect asks the proxy at the other end of conn for a way to addr.
func connect(ctx context.Context, conn net.Conn, addr string, user *url.Userinfo) error {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(longAgo) })
	defer stop()
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{"User-Agent": {"whiskaway"}}}
	if user != nil {
		password, _ := user.Password()
		r.Header["Proxy-Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))}
	}
	if err := r.Write(conn); err != nil {
		return ended(ctx, err)
	}
	in := bufio.NewReader(io.LimitReader(conn, maxProxyAnswer))
	resp, err := http.ReadResponse(in, r)
	if err != nil {
		return ended(ctx, err)
	}
	if err := proxyRefusal(resp, addr); err != nil {
		return err
	}
	if in.Buffered() > 0 { // whoever is called does not speak first
		return errors.New("it sent more than its answer")
	}
	if !stop() {
		return ctx.Err()
	}
	return nil
}

// ended prefers why ctx ended to what that led to.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// proxyRefusal says what an answer means that is not a way to addr; nil when it is one.
func proxyRefusal(resp *http.Response, addr string) error {
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return errors.New("it wants a user and a password, or others: write them into HTTPS_PROXY, as in http://user:password@proxy.example.com:3128")
	}
	return fmt.Errorf("it answers %q to CONNECT %s; does it allow that host and port? NO_PROXY names hosts that are reached without it", resp.Status, addr)
}

// A proxyError says that it was the proxy's fault, or its name's.
type proxyError struct{ text string }

func (e *proxyError) Error() string { return e.text }

func proxyFailed(name string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no connection within %v", dialTimeout)
	}
	return &proxyError{fmt.Sprintf("the proxy %s, which HTTPS_PROXY names: %v", name, err)}
}
