package wire

import (
	"net/http"
	"net/url"

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

// checkFrom is check for what a server at the address from has sent. Plain http is loopback,
// and that is this machine's own: a server elsewhere must not lead us there.
func (a Advertised) checkFrom(from string) error {
	u, err := a.check()
	if err != nil || u == nil {
		return err
	}
	if u.Scheme == "http" && (!function.IsLoopback(from) || u.Path != "") {
		return function.Errorf(function.CodeBadRequest, "%s was advertised, but that is loopback, and the server is on another machine: advertise an https address", u)
	}
	return nil
}

// advertisedIn reads the headers of a join.
func advertisedIn(h http.Header) Advertised {
	return Advertised{URL: first(h, headerAdvertise), Token: first(h, headerAdvertiseToken)}
}
