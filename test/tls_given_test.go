package test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tomorrow is until when a test's certificates are good.
func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

// shown returns the certificate that a TLS port shows.
func shown(t *testing.T, url string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// A balancer with a given certificate, of an authority that nobody knows: tokens carry that one's fingerprint, the certificate can be
// renewed while all run, and with the balancer's own authority again the tokens carry the former fingerprint.
func TestAGivenCertificate(t *testing.T) {
	dir, certs, serverDir := t.TempDir(), t.TempDir(), t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	p.waitFor("balancer listening on http://")
	p.stop()
	own := readToken(t, dir, "join")
	ca := newCertificate(t, nil, tomorrow())
	first, second := newCertificate(t, ca, tomorrow(), "127.0.0.1", "gpu.example"), newCertificate(t, ca, tomorrow(), "127.0.0.1")
	flags := first.files(t, certs, ca)
	p = start(t, nil, nil, append([]string{"balancer", "--listen", "127.0.0.1:0", "--data", dir}, flags...)...)
	url := p.waitFor(`balancer listening on (https://\S+)`)
	join := readToken(t, dir, "join")
	if secretOf(join) != secretOf(own) || join == own {
		t.Error("the token should be the same, with another fingerprint")
	}
	server := start(t, nil, nil, "server", "--balancer", url, "--token", join, "--label", "far", "--data", serverDir)
	server.waitFor("joined")
	if got := statusOf(t, dir); len(got.Servers) != 1 {
		t.Errorf("the status on this machine is %+v", got)
	}
	text, _ := makeToken(t, []string{"--data", dir}, "--role", "client")
	refused(t, url, text, false)
	v := newVictim(t, url, text, "guest")
	if !shown(t, url).Equal(first.cert) {
		t.Error("it shows another certificate")
	}
	second.files(t, certs, ca)
	eventually(t, "the new certificate", func() bool { return shown(t, url).Equal(second.cert) })
	v.unharmed(t)
	newVictim(t, url, text, "new").unharmed(t)
	out := fails(t, "server", "--balancer", url, "--token", own, "--data", t.TempDir())
	if !strings.Contains(out, "fingerprint") || strings.Contains(out, secretOf(own)) {
		t.Errorf("with the wrong fingerprint: %s", out)
	}
	out = fails(t, "server", "--balancer", url, "--token", secretOf(join), "--data", t.TempDir())
	if !strings.Contains(out, "not trusted") {
		t.Errorf("without a fingerprint: %s", out)
	}
	out = fails(t, "server", "--balancer", strings.Replace(url, "127.0.0.1", "localhost", 1), "--token", join, "--data", t.TempDir())
	if !strings.Contains(out, "another name") {
		t.Errorf("by a name that it is not for: %s", out)
	}
	p.stop()
	start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir).waitFor("balancer listening on http://")
	if readToken(t, dir, "join") != own {
		t.Error("with the own authority again, the token carries another fingerprint than before")
	}
}

// The platform's own runtimes, and the commands on its machine, do without the certificate's name.
func TestStandaloneWithAGivenCertificate(t *testing.T) {
	dir := t.TempDir()
	own := newCertificate(t, nil, tomorrow(), "gpu.example")
	s := startStandalone(t, dir, append([]string{"--balancer-listen", "127.0.0.1:0"}, own.files(t, t.TempDir())...)...)
	s.put("over", action{kind: "nodejs:20", main: "main@local", code: "exports.main = x => x"})
	if got := compact(t, s.result("over", `{"over":"TLS"}`)); got != `{"over":"TLS"}` {
		t.Errorf("the result is %s", got)
	}
	if out := run(t, "status", "--data", dir); !strings.Contains(out, "/guest/over") {
		t.Errorf("the status is %s", out)
	}
	if !strings.Contains(s.log(), "is not for this machine's name") {
		t.Error("nothing is said of the name")
	}
}

// A server that clients reach directly has one as well.
func TestServerWithAGivenCertificate(t *testing.T) {
	own := newCertificate(t, nil, tomorrow(), "127.0.0.1")
	p := start(t, nil, nil, append([]string{"server", "--listen", "127.0.0.1:0", "--token", testToken, "--data", t.TempDir()}, own.files(t, t.TempDir())...)...)
	url := p.waitFor(`listening on (https://\S+)`)
	behind := p.waitFor(`with this behind it: (~\S+)`)
	newVictim(t, url, testToken+behind, "guest").unharmed(t)
}

func TestCertificatesThatCannotBeUsedEndTheStart(t *testing.T) {
	dir, otherDir := t.TempDir(), t.TempDir()
	good := newCertificate(t, nil, tomorrow(), "gpu.example").files(t, dir)
	other := newCertificate(t, nil, tomorrow(), "gpu.example").files(t, otherDir)
	old := newCertificate(t, nil, time.Now().Add(-time.Hour), "gpu.example").files(t, t.TempDir())
	balancer := []string{"balancer", "--listen", "127.0.0.1:0", "--data", t.TempDir()}
	for words, c := range map[string][]string{
		"give both":          append(balancer, good[:2]...),
		"without --tls-cert": append(balancer, good[2:]...),
		"there is no file":   append(balancer, "--tls-cert", dir+"/none", "--tls-key", dir+"/none"),
		"does not match":     append(balancer, "--tls-cert", good[1], "--tls-key", other[3]),
		"has expired":        append(balancer, old...),
		"say with --listen":  append([]string{"server", "--balancer", "http://127.0.0.1:1", "--token", "x", "--data", t.TempDir()}, good...),
	} {
		if said := fails(t, c...); !strings.Contains(said, words) || strings.Contains(said, "PRIVATE") {
			t.Errorf("%v: %s", c, said)
		}
	}
}

// Who forgets the s of https, or has one too many, is told so.
func TestTLSAndPlainPortsTellEachOther(t *testing.T) {
	dir := t.TempDir()
	url := startTLSBalancer(t, dir)
	_, plain := direct(t, testToken)
	got := exchange(t, strings.Replace(url, "https", "http", 1), "POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100_000), false)
	badCase{status: 400, code: "bad_request", words: "write https://"}.wantRefusal(t, got, dir)
	if got.header.Get("Whiskaway-Started") != "no" {
		t.Error("it does not say that nothing was started")
	}
	if resp, err := http.Get(strings.Replace(url, "https", "http", 1) + "/healthz"); err != nil || resp.StatusCode != 400 {
		t.Errorf("plain http to TLS: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	secure := strings.Replace(plain, "http", "https", 1)
	said := fails(t, "status", "--balancer", secure, "--token", testToken)
	if !strings.Contains(said, "does not speak TLS") || !strings.Contains(said, "write http://") {
		t.Errorf("TLS to plain http: %s", said)
	}
	if strings.Contains(said, testToken) {
		t.Error("it tells the token")
	}
}
