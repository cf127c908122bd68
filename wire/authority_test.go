package wire

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAuthorityStaysTheSame(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.Fingerprint() != second.Fingerprint() || checkFingerprint(first.Fingerprint()) != nil {
		t.Errorf("%q, then %q", first.Fingerprint(), second.Fingerprint())
	}
	path := filepath.Join(dir, "tls", "authority.pem")
	mustHaveMode(t, path, 0o600)
	os.WriteFile(path, []byte("x"), 0o600)
	if _, err := OpenAuthority(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged authority: %v", err)
	}
}

func TestCertificatesAreRenewed(t *testing.T) {
	a, err := OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	i := &issuer{authority: a, hosts: []string{"b.example", "10.0.0.1"}, now: func() time.Time { return now }}
	first, err := i.certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if same, _ := i.certificate(nil); same != first {
		t.Error("a fresh certificate was replaced")
	}
	now = now.Add(certificateLife/2 + time.Hour)
	second, err := i.certificate(nil)
	if err != nil || second == first {
		t.Fatalf("an old certificate was kept: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	for _, name := range i.hosts {
		if _, err := second.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
