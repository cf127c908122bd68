package main

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/whiskaway/whiskaway/wire"
)

// tlsFlags are where the operator's own certificate is.
type tlsFlags struct{ cert, key string }

func (t *tlsFlags) add(f *pflag.FlagSet) {
	f.StringVar(&t.cert, "tls-cert", "", "a certificate of your own, PEM, with its authorities' behind it; read again when it changes (default: one by an authority that is made here)")
	f.StringVar(&t.key, "tls-key", "", "its private key, PEM")
}

func (t *tlsFlags) given() bool { return t.cert != "" || t.key != "" }

// open reads the certificate; it returns nil where none is given.
func (t *tlsFlags) open(log *slog.Logger) (*wire.Certificate, error) {
	switch {
	case !t.given():
		return nil, nil
	case t.cert == "":
		return nil, errors.New("--tls-key is given without --tls-cert: give both, or neither")
	case t.key == "":
		return nil, errors.New("--tls-cert is given without --tls-key: give both, or neither")
	}
	return wire.OpenCertificate(t.cert, t.key, log)
}

// certified returns the address with a host that the certificate is for, and says what
// clients need.
func (f *face) certified(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	names := f.cert.Names()
	tokens := "no fingerprint is in tokens: a public authority vouches for it"
	if f.cert.Fingerprint() != "" {
		tokens = "its fingerprint is in tokens: no public authority vouches for it"
	}
	f.log.Info("TLS by the given certificate", "for", names, "tokens", tokens)
	if f.cert.Covers(host) {
		return address
	}
	f.log.Warn("the certificate is not for this machine's name: clients must use one that it is for", "name", host, "certificate", names)
	i := slices.IndexFunc(names, func(name string) bool { return !strings.HasPrefix(name, "*") })
	if i < 0 {
		return address
	}
	return net.JoinHostPort(names[i], port)
}

// serverConfig is nil for plain http.
func (f *face) serverConfig() (*tls.Config, error) {
	switch {
	case f.cert != nil:
		return f.cert.ServerConfig(), nil
	case f.plain():
		return nil, nil
	}
	host, _, err := net.SplitHostPort(reachable(f.listener.Addr(), hostname()))
	if err != nil {
		return nil, err
	}
	return f.authority.ServerConfig([]string{host})
}
