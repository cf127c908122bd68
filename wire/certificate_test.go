package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// An issued is a certificate with its key, and who has signed it.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issueTest makes a certificate; by nil it signs itself.
func issueTest(t *testing.T, by *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wanted := template("test", time.Now(), time.Hour)
	wanted.DNSNames = []string{"gpu.example", "*.gpu.example"}
	wanted.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if change != nil {
		change(wanted)
	}
	parent := &issued{wanted, key}
	if by != nil {
		parent = by
	}
	der, err := x509.CreateCertificate(rand.Reader, wanted, parent.cert, &key.PublicKey, parent.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key}
}

func isCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	c.DNSNames, c.ExtKeyUsage = nil, nil
}

// files writes the certificate with others behind it, and its key, and returns their paths.
func (i *issued) files(t *testing.T, dir string, behind ...*issued) (cert, key string) {
	t.Helper()
	var text []byte
	for _, c := range append([]*issued{i}, behind...) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string][]byte{cert: text, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := writeSecret(path, text); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Which fingerprint tokens carry, and who is believed because of it.
func TestGivenCertificatesArePinned(t *testing.T) {
	noLeaks(t)
	own, ca := issueTest(t, nil, nil), issueTest(t, nil, isCA)
	middle := issueTest(t, ca, isCA)
	byCA, byMiddle := issueTest(t, ca, nil), issueTest(t, middle, nil)
	for _, c := range []struct {
		name   string
		leaf   *issued
		behind []*issued
		pinned *issued
	}{
		{"one that vouches for itself", own, nil, own},
		{"an authority's, which is behind it", byCA, []*issued{ca}, ca},
		{"an authority's, which is not there", byCA, nil, byCA},
		{"one with an authority between", byMiddle, []*issued{middle, ca}, ca},
		{"one with a stranger behind it", byCA, []*issued{ca, own}, ca},
	} {
		t.Run(c.name, func(t *testing.T) {
			certFile, keyFile := c.leaf.files(t, t.TempDir(), c.behind...)
			cert, err := OpenCertificate(certFile, keyFile, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := cert.Fingerprint(), fingerprintOf(c.pinned.cert.Raw); got != want {
				t.Errorf("pinned is %s, want %s", got, want)
			}
			if !cert.Covers("gpu.example") || !cert.Covers("a.gpu.example") || cert.Covers("example") || !slices.Contains(cert.Names(), "gpu.example") {
				t.Errorf("it is for %v", cert.Names())
			}
			addr := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: Static(Token{Secret: testSecret})}), Server{TLS: cert.ServerConfig()})
			for host, token := range map[string]string{"": testSecret, "wrong": testSecret + "~" + testPrint} {
				if err := watchOnce(t, addr, "gpu.example", token); function.CodeOf(err) != function.CodeUnauthorized {
					t.Errorf("with the fingerprint %q: %v", host, err)
				}
			}
			pinned := testSecret + "~" + cert.Fingerprint()
			if err := watchOnce(t, addr, "gpu.example", pinned); err != nil {
				t.Errorf("with its fingerprint: %v", err)
			}
			// Somebody else's authority may sign for others too, so the name counts.
			err = watchOnce(t, addr, "evil.example", pinned)
			if mayBeOthers := c.pinned != c.leaf; mayBeOthers != (function.CodeOf(err) == function.CodeUnauthorized) {
				t.Errorf("by another name: %v", err)
			}
		})
	}
}

// watchOnce asks the TLS server at addr for its status by the name host.
func watchOnce(t *testing.T, addr, host, token string) error {
	t.Helper()
	_, port, _ := strings.Cut(addr, ":")
	c, err := NewClient(ClientConfig{URL: "https://" + host + ":" + port, Token: token, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Watch(t.Context(), func(function.Status) error { return errSeen })
	if err == errSeen {
		return nil
	}
	return err
}

func TestCertificatesThatCannotBeUsedAreExplained(t *testing.T) {
	ca := issueTest(t, nil, isCA)
	good, other := issueTest(t, ca, nil), issueTest(t, ca, nil)
	dir, otherDir := t.TempDir(), t.TempDir()
	cert, key := good.files(t, dir)
	_, otherKey := other.files(t, otherDir)
	none := filepath.Join(dir, "none.pem")
	oldCert, oldKey := issueTest(t, nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }).files(t, t.TempDir())
	newCert, newKey := issueTest(t, nil, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }).files(t, t.TempDir())
	clientCert, clientKey := issueTest(t, nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).files(t, t.TempDir())
	for _, c := range []struct{ cert, key, words string }{
		{none, key, "--tls-cert: there is no file"}, {cert, none, "--tls-key: there is no file"}, {cert, otherKey, "does not match"},
		{key, key, "certificate"}, {cert, cert, "key"}, {dir, key, "--tls-cert"}, {oldCert, oldKey, "has expired"}, {newCert, newKey, "not good before"},
		{clientCert, clientKey, "not good for a server"},
	} {
		_, err := OpenCertificate(c.cert, c.key, nil)
		if err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s with %s: %v, want %q", c.cert, c.key, err, c.words)
		}
	}
}

func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	ca, dir, log := issueTest(t, nil, isCA), t.TempDir(), &logged{}
	first, second := issueTest(t, ca, nil), issueTest(t, ca, nil)
	certFile, keyFile := first.files(t, dir, ca)
	c, err := OpenCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	shows := func(want *issued, when string) {
		t.Helper()
		now = now.Add(2 * lookEvery)
		got, err := c.ServerConfig().GetCertificate(&tls.ClientHelloInfo{})
		if err != nil || !got.Leaf.Equal(want.cert) {
			t.Errorf("%s it shows the wrong certificate; %v", when, err)
		}
	}
	shows(first, "at the beginning")
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	second.files(t, dir, ca)
	newKey, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(keyFile, append(key, '\n')); err != nil {
		t.Fatal(err)
	}
	shows(first, "while the key is the old one")
	shows(first, "while the key still is")
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("it was logged %d times:\n%s", n, log)
	}
	if err := writeSecret(keyFile, newKey); err != nil {
		t.Fatal(err)
	}
	shows(second, "when both are there")
	if strings.Contains(log.String(), "fingerprint") {
		t.Errorf("the authority is the same, and yet:\n%s", log)
	}
	own := issueTest(t, nil, nil)
	own.files(t, dir)
	shows(own, "when it is another authority's")
	if !strings.Contains(log.String(), "another fingerprint") {
		t.Errorf("nothing is said of the fingerprint:\n%s", log)
	}
}
