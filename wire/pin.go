package wire

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// fingerprintOf returns the base64url SHA-256 of a certificate's DER bytes.
func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// wholeRecords makes what is written at once leave at once. Without it, crypto/tls cuts the
// first 128 KB of a connection into small pieces, so that a browser can begin
// to show a page; nobody here begins before a frame is whole, and each piece is a system call.
const wholeRecords = true

// clientTLS returns how a client checks who it speaks to. Without a fingerprint
// that is the system's authorities and the host's name.
//
// With one, the authority with that fingerprint must have signed the
// certificate, or be it, and nothing else counts, see verifyPinned.
func clientTLS(host, fingerprint string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: wholeRecords}
	if fingerprint != "" {
		config.InsecureSkipVerify = true // the next line verifies instead
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyPinned(state.PeerCertificates, host, fingerprint)
		}
	}
	return config
}

var errNotPinned = errors.New("its certificate is not from the authority whose fingerprint the token carries: " +
	"the token is for another balancer, or somebody sits in between")

// verifyPinned checks that the peer's certificate is the pinned one, or comes from the
// pinned authority. A balancer's own authority signs for that balancer only, which may be reached
// by any address; one that is somebody else's may sign for others too, so then the name counts.
func verifyPinned(certs []*x509.Certificate, host, fingerprint string) error {
	if len(certs) == 0 {
		return fmt.Errorf("%w: there is none", errNotPinned)
	}
	roots, rest := x509.NewCertPool(), x509.NewCertPool()
	var pinned *x509.Certificate
	for _, c := range certs {
		if fingerprintOf(c.Raw) == fingerprint {
			roots.AddCert(c)
			pinned = c
		} else {
			rest.AddCert(c)
		}
	}
	if pinned == nil {
		return errNotPinned
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return fmt.Errorf("%w; the certificate does not hold: %w", errNotPinned, err)
	}
	if pinned.Equal(certs[0]) || pinned.Subject.CommonName == authorityName {
		return nil
	}
	return certs[0].VerifyHostname(host)
}
