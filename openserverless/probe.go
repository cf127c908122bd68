package openserverless

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// probeTimeout bounds a probe.
const probeTimeout = 10 * time.Second

// whiskawayHeader is in every answer of a Whiskaway host; see package wire.
const whiskawayHeader = "Whiskaway-Version"

// Probe asks the host of url what it speaks. A Whiskaway host says so; a server of
// OpenServerless answers 200 to any path that it does not know. Whatever else
// comes is an error: nothing is guessed. url may be plain http under the same
// rules as a Client's.
func Probe(ctx context.Context, url string, plainHTTP []string) (function.Protocol, error) {
	base, err := parseAddress(url, plainHTTP)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/healthz", nil)
	if err != nil {
		return "", function.Errorf(function.CodeBadRequest, "asking %s what it speaks: %v", base, err)
	}
	r.Header.Set("User-Agent", "whiskaway")
	// A Whiskaway host may have a certificate of its own, which only its token vouches for. Nothing
	// secret is sent here, and who lies about the protocol fails at the certificate afterwards.
	resp, err := newTransport(&tls.Config{InsecureSkipVerify: true}).RoundTrip(r)
	if err != nil {
		var noConn *unconnected
		if errors.As(err, &noConn) {
			err = noConn.err
		}
		return "", function.Errorf(function.CodeUnreachable, "cannot ask %s whether it is Whiskaway's or OpenServerless's: %v; %s", base, err, sayWhich)
	}
	defer resp.Body.Close()
	switch {
	case resp.Header.Get(whiskawayHeader) != "":
		return function.ProtocolWhiskaway, nil
	case resp.StatusCode == http.StatusOK:
		return function.ProtocolOpenServerless, nil
	}
	return "", function.Errorf(function.CodeUnreachable, "%s answers neither as Whiskaway nor as OpenServerless: %s; %s", base, resp.Status, sayWhich)
}

const sayWhich = "main can say which, as in main@https://gpu.example.com?protocol=openserverless"
