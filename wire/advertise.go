package wire

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// An Advertised is where a server that dials home can be dialled too.
type Advertised struct {
	URL string // https, or http where server and balancer are on one machine
	// Token is for this balancer alone, as ParseToken reads it. It is never kept or logged.
	Token string
}

// check returns the two in their parts; nil for nothing that is advertised.
func (a Advertised) check() (*url.URL, error) {
	if a.URL == "" {
		return nil, nil
	}
	u, err := parseURL(a.URL)
	if err != nil {
		return nil, err
	}
	if _, err := ParseToken(a.Token); err != nil {
		return nil, function.Errorf(function.CodeBadRequest, "the token for %s: %v", u, err)
	}
	return u, nil
}

// checkFrom is check for what a server has sent. One on another machine must not lead us to what
// only this machine can reach: loopback, and what is on its link. What a name stands for is
// looked at when it is dialled, see dialAdvertised.
func (a Advertised) checkFrom(sameMachine bool) error {
	u, err := a.check()
	if err != nil || u == nil {
		return err
	}
	if u.Scheme == "http" && u.Path != "" {
		return function.Errorf(function.CodeBadRequest, "%s was advertised, which is plain http with a path: that is for a proxy, and a proxy needs https", u)
	}
	if sameMachine {
		return nil
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if function.IsLoopback(u.Hostname()) || err == nil && isNear(addr) {
		return function.Errorf(function.CodeBadRequest, "%s was advertised, but that is %s: advertise an address by which the balancer can reach it", u, nearby)
	}
	return nil
}

// nearby says what isNear is about.
const nearby = "loopback or on one link only, and the server is not known to be on the balancer's machine"

// isNear reports whether an address means this machine, or what is on its link, where clouds
// keep what they tell their machines (169.254.169.254).
func isNear(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() || addr.IsMulticast()
}

// dialAdvertised dials what a server has advertised: directly, or by the environment's proxy,
// which knows what it allows.
func dialAdvertised(u *url.URL, sameMachine bool) rawDial {
	d := net.Dialer{KeepAliveConfig: keepAlive(), Control: control}
	if !sameMachine {
		d.Control = controlFar
	}
	return asEnvironmentSays(u, d.DialContext)
}

// controlFar is control, but refuses near addresses.
func controlFar(network, address string, raw syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || isNear(at.Addr()) {
		return fmt.Errorf("%s is %s", address, nearby)
	}
	return control(network, address, raw)
}

// fromSameMachine reports whether a server that joins is on this machine. A reverse proxy here
// passes on what comes from elsewhere: what proxies add counts, and the name by which
// we were called.
func fromSameMachine(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if first(r.Header, name) != "" {
			return false
		}
	}
	return function.IsLoopback(r.RemoteAddr) && meansLoopback(r.Context(), r.Host)
}

// resolveLimit is how long it may take to find out what a name stands for.
const resolveLimit = 2 * time.Second

// meansLoopback reports whether a host, which may have a port, stands for loopback here and for nothing
// else, as the name of many a machine does in its own /etc/hosts.
func meansLoopback(ctx context.Context, host string) bool {
	if function.IsLoopback(host) {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	other := func(a netip.Addr) bool { return !a.Unmap().IsLoopback() }
	return err == nil && len(addrs) > 0 && !slices.ContainsFunc(addrs, other)
}

// advertisedIn reads the headers of a join.
func advertisedIn(h http.Header) Advertised {
	return Advertised{URL: first(h, headerAdvertise), Token: first(h, headerAdvertiseToken)}
}
