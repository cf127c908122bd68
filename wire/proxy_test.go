package wire

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// A connectProxy is a small HTTP proxy that knows CONNECT only.
type connectProxy struct {
	*httptest.Server
	password string       // of the user "u"; empty: nobody is asked
	refuses  int          // the status of every answer; 0: it connects
	tunnels  atomic.Int32 // so many connections were made
}

func startProxy(t *testing.T, password string, refuses int) *connectProxy {
	p := &connectProxy{password: password, refuses: refuses}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *connectProxy) url(userinfo string) *url.URL {
	u, _ := url.Parse(p.URL)
	if userinfo != "" {
		name, password, _ := strings.Cut(userinfo, ":")
		u.User = url.UserPassword(name, password)
	}
	return u
}

func (p *connectProxy) serve(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+p.password))
	switch {
	case r.Method != http.MethodConnect:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case p.password != "" && r.Header.Get("Proxy-Authorization") != want:
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	case p.refuses != 0:
		w.WriteHeader(p.refuses)
		return
	}
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	here, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		there.Close()
		return
	}
	p.tunnels.Add(1)
	pass := func(to net.Conn, from io.Reader) { // noLeaks waits for it
		io.Copy(to, from)
		here.Close()
		there.Close()
	}
	go pass(here, there)
	go pass(there, in) // which may have read something already
}

func TestACallByAProxyToAFakeHost(t *testing.T) {
	noLeaks(t)
	authority, err := OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config, err := authority.ServerConfig([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	secure := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: Static(Token{Secret: testSecret})}), Server{TLS: config})
	proxy := startProxy(t, "p:ä%", 0)
	c, err := NewClient(ClientConfig{URL: "https://" + secure, Token: testSecret + "~" + authority.Fingerprint(), DialContext: byProxy(proxy.url("u:p:ä%"))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		runs(t, c, "{}")
	}
	if n := proxy.tunnels.Load(); n != 1 {
		t.Errorf("three runs took %d connections: one should be kept", n)
	}
}

func TestAProxysFaultIsCalledThat(t *testing.T) {
	noLeaks(t)
	gone := startProxy(t, "", 0)
	gone.Close()
	locked, forbids, nowhere := startProxy(t, "right", 0), startProxy(t, "", http.StatusForbidden), startProxy(t, "", 0)
	tls := locked.url("")
	tls.Scheme = "https"
	socks := locked.url("")
	socks.Scheme = "socks5"
	for name, test := range map[string]struct {
		proxy *url.URL
		want  string
	}{
		"no such proxy":   {gone.url("u:hunter2"), "refused"},
		"no password":     {locked.url(""), "user and a password"},
		"wrong password":  {locked.url("u:hunter2"), "user and a password"},
		"forbidden":       {forbids.url("u:hunter2"), "403 Forbidden"},
		"nobody there":    {nowhere.url("u:hunter2"), "502 Bad Gateway"},
		"no TLS to it":    {tls, "first record does not look like a TLS handshake"},
		"of another kind": {socks, "socks5"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := NewClient(ClientConfig{URL: "https://127.0.0.1:1", Token: testSecret, DialContext: byProxy(test.proxy)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Run(t.Context(), function.ID{1}, testClaim, activation("{}"), &recorder{})
			if function.CodeOf(err) != function.CodeUnreachable || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "HTTPS_PROXY") {
				t.Errorf("%v; want %q, and HTTPS_PROXY", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}
