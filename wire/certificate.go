package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// A Certificate is one that the operator gives: of a public authority, or of
// any other. It is read again when its files change.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	pin     string       // what tokens carry because of it
	looked  time.Time    // when the files were looked at last
	seen    [2]fileStamp // of both files, when they were read last
}

// A fileStamp tells one state of a file from another.
type fileStamp struct {
	modified time.Time
	size     int64
}

// OpenCertificate reads a certificate, with those of its authorities behind it, and its
// private key, both PEM. It refuses what no client could accept.
func OpenCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: time.Now, log: orDiscard(log)}
	c.seen = c.stamps()
	var err error
	if c.current, c.pin, err = c.read(); err != nil {
		return nil, err
	}
	c.looked = c.now()
	return c, nil
}

// read reads both files, and checks what they hold. pin is what tokens carry then.
func (c *Certificate) read() (pair *tls.Certificate, pin string, err error) {
	certs, err := readPEM("--tls-cert", c.certFile)
	if err != nil {
		return nil, "", err
	}
	key, err := readPEM("--tls-key", c.keyFile)
	if err != nil {
		return nil, "", err
	}
	both, err := tls.X509KeyPair(certs, key)
	if err != nil {
		return nil, "", fmt.Errorf("the certificate %s with the key %s: %w", c.certFile, c.keyFile, err)
	}
	now, leaf := c.now(), both.Leaf
	if now.After(leaf.NotAfter) {
		return nil, "", fmt.Errorf("the certificate %s has expired, at %s; renew it", c.certFile, leaf.NotAfter.Format(time.RFC3339))
	}
	if now.Before(leaf.NotBefore) {
		return nil, "", fmt.Errorf("the certificate %s is not good before %s; is the clock right?", c.certFile, leaf.NotBefore.Format(time.RFC3339))
	}
	if pin, err = pinOf(&both, now); err != nil {
		return nil, "", fmt.Errorf("the certificate %s is not good for a server: %w", c.certFile, err)
	}
	return &both, pin, nil
}

func readPEM(flag, path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no file %s", flag, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return text, nil
}

// ServerConfig returns the TLS configuration of a server with this certificate.
func (c *Certificate) ServerConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: wholeRecords,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil }}
}

// Fingerprint is what tokens carry beside this certificate: nothing where a public
// authority vouches for it, or else the fingerprint of the last authority in its file, or its own.
func (c *Certificate) Fingerprint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pin
}

// Names are the hosts that the certificate is for.
func (c *Certificate) Names() []string {
	leaf := c.get().Leaf
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// Covers reports whether the certificate is for that host.
func (c *Certificate) Covers(host string) bool { return c.get().Leaf.VerifyHostname(host) == nil }

// lookEvery is how often the files are looked at, when there are handshakes.
const lookEvery = time.Second

// get returns the certificate as it is in the files now. What cannot be used there is logged, once for
// each change, and the former stays.
func (c *Certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < lookEvery {
		return c.current
	}
	c.looked = now
	stamps := c.stamps()
	if stamps == c.seen {
		return c.current
	}
	c.seen = stamps
	pair, pin, err := c.read()
	if err != nil {
		c.log.Error("the certificate has changed and cannot be used; the former one stays", "error", err)
		return c.current
	}
	c.current = pair
	c.log.Info("the certificate was read again", "file", c.certFile, "until", pair.Leaf.NotAfter)
	if pin != c.pin {
		c.pin = pin
		c.log.Warn("the new certificate needs another fingerprint in tokens: those that were given out do not fit any more; those in the data directory do after a restart")
	}
	return c.current
}

// stamps looks at both files. Of one that is not there the stamp is zero.
func (c *Certificate) stamps() (both [2]fileStamp) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			both[i] = fileStamp{info.ModTime(), info.Size()}
		}
	}
	return both
}

// pinOf returns the fingerprint that clients need to trust the certificate; "" if they need none, because
// the authorities of this system vouch for it.
func pinOf(pair *tls.Certificate, now time.Time) (string, error) {
	certs := make([]*x509.Certificate, len(pair.Certificate))
	between := x509.NewCertPool()
	for i, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return "", err
		}
		certs[i] = cert
		between.AddCert(cert)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: now})
	if err == nil {
		return "", nil
	}
	for _, cert := range slices.Backward(certs) { // who renews the first keeps the last
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		if _, err = certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err == nil {
			return fingerprintOf(cert.Raw), nil
		}
	}
	return "", err
}
