package openserverless

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// parseAddress reads the URL of a server of theirs. Plain http is for loopback, and
// for the hosts that plain lists, each as host or host:port. Their client ignores a
// path, so it does no harm here either.
func parseAddress(text string, plain []string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, function.Errorf(function.CodeBadRequest, "the address of an OpenServerless server is not a URL such as https://gpu.example.com")
	}
	if u.User != nil {
		return nil, function.Errorf(function.CodeBadRequest, "the address %q carries a user or a password; OpenServerless's servers know neither", u.Redacted())
	}
	address := &url.URL{Scheme: u.Scheme, Host: u.Host}
	if u.Scheme == "http" && !function.IsLoopback(u.Host) && !mayBePlain(u, plain) {
		return nil, function.Errorf(function.CodeBadRequest,
			"%s is plain http to another machine, where all on the way can read and change code and data; use https, or the operator lists the host in WHISKAWAY_PLAIN_HTTP=%s", address, u.Host)
	}
	return address, nil
}

// mayBePlain reports whether plain lists the host of u.
func mayBePlain(u *url.URL, plain []string) bool {
	host := strings.ToLower(u.Hostname())
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return slices.ContainsFunc(plain, func(entry string) bool {
		entry = strings.ToLower(strings.TrimSpace(entry))
		return entry != "" && (strings.Trim(entry, "[]") == host || entry == net.JoinHostPort(host, port))
	})
}
