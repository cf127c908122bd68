package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	authorityLife   = 20 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
	// clockSlack is how far another machine's clock may be behind.
	clockSlack = 7 * 24 * time.Hour
	// authorityName tells an Authority's certificate from others that are pinned.
	authorityName = "Whiskaway balancer authority"
)

// An Authority is a balancer's own certificate authority. Tokens name it by its
// fingerprint, so it lives long; the certificates that it issues do not.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// OpenAuthority reads the authority from dir/tls/authority.pem, or makes a new one.
func OpenAuthority(dir string) (*Authority, error) {
	path := filepath.Join(dir, "tls", "authority.pem")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createAuthority(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the balancer's authority: %w", err)
	}
	a, err := parseAuthority(text)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); restore it, or remove it: then a new authority is made, and every token's fingerprint changes", path, err)
	}
	return a, nil
}

func parseAuthority(text []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("it holds no authority with an ECDSA key")
	}
	return &Authority{cert: pair.Leaf, key: key}, nil
}

func createAuthority(path string) (*Authority, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the authority's directory: %w", err)
	}
	text, err := newAuthority(time.Now())
	if err == nil {
		err = writeSecret(path, text)
	}
	if err != nil {
		return nil, fmt.Errorf("making the balancer's authority: %w", err)
	}
	return parseAuthority(text)
}

// newAuthority returns a certificate and its key as PEM.
func newAuthority(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template(authorityName, now, authorityLife)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	pem.Encode(&text, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return text.Bytes(), nil
}

func template(name string, now time.Time, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails, see crypto/rand
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-clockSlack), NotAfter: now.Add(life),
	}
}

// Fingerprint is what a token carries: the base64url SHA-256 of the authority's
// certificate.
func (a *Authority) Fingerprint() string { return fingerprintOf(a.cert.Raw) }

// ServerConfig returns the TLS configuration of a server that is reached as
// hosts, names or IP addresses. Its certificate is made here and made anew
// when half of its life is over.
func (a *Authority) ServerConfig(hosts []string) (*tls.Config, error) {
	issuer := &issuer{authority: a, hosts: hosts, now: time.Now}
	if _, err := issuer.certificate(nil); err != nil {
		return nil, fmt.Errorf("making a server certificate: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: issuer.certificate,
		DynamicRecordSizingDisabled: wholeRecords,
	}, nil
}

// An issuer keeps the current certificate of one server.
type issuer struct {
	authority *Authority
	hosts     []string
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

func (i *issuer) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if i.current != nil && now.Before(i.current.Leaf.NotAfter.Add(-certificateLife/2)) {
		return i.current, nil
	}
	fresh, err := i.authority.issue(i.hosts, now)
	if err != nil {
		return nil, err
	}
	i.current = fresh
	return fresh, nil
}

// issue makes a server certificate. The authority's own follows it in the chain,
// because clients that know only its fingerprint need to see it.
func (a *Authority) issue(hosts []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template("Whiskaway", now, certificateLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}
