package test

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A connectProxy is an HTTP proxy with a password. Whatever host it is asked for, it
// connects to the target: so names need not exist.
type connectProxy struct {
	*httptest.Server
	target  string
	tunnels atomic.Int32
	conns   openConns
}

const proxyUser, proxyPassword = "someone", "hunter2-not-for-functions"

func startConnectProxy(t *testing.T, target string, secure bool) *connectProxy {
	t.Helper()
	p := &connectProxy{target: target}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	if secure {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(func() {
		p.conns.close()
		p.Close()
	})
	return p
}

// env is what a program is told that shall use it.
func (p *connectProxy) env(t *testing.T) []string {
	t.Helper()
	scheme, host, _ := strings.Cut(p.URL, "://")
	env := []string{"HTTPS_PROXY=" + scheme + "://" + proxyUser + ":" + proxyPassword + "@" + host}
	if p.Certificate() == nil {
		return env
	}
	path := filepath.Join(t.TempDir(), "proxy.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return append(env, "SSL_CERT_FILE="+path)
}

func (p *connectProxy) serve(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
	if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != want {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	there, err := net.Dial("tcp", p.target)
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
	p.conns.add(here, there)
	go func() { // ends with the connections
		io.Copy(there, in) // which may have read something already
		there.Close()
	}()
	io.Copy(here, there)
	here.Close()
}

func TestServersAndClientsGoByAProxy(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, target, _ := strings.Cut(startTLSBalancer(t, dir), "://")
			_, port, _ := net.SplitHostPort(target)
			proxy := startConnectProxy(t, target, secure)
			url := "https://balancer.invalid:" + port // only the proxy knows the way
			server := start(t, proxy.env(t), nil, "server", "--balancer", url, "--token", readToken(t, dir, "join"), "--label", "far", "--data", t.TempDir())
			server.waitFor("joined " + url)
			r := startRuntime(t, append(proxy.env(t), "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+readToken(t, dir, "client"))...)
			if status, b := r.post("/init", initBody("main@far", pidPy, nil)); status != 200 {
				t.Fatalf("/init: %d %s", status, b)
			}
			joining := proxy.tunnels.Load()
			status, b := r.post("/run", runBody(`{}`, "id", time.Now().Add(time.Minute)))
			if status != 200 || !strings.Contains(b, `"runs"`) {
				t.Errorf("/run: %d %.200s", status, b)
			}
			if joining < 2 {
				t.Errorf("the proxy made %d connections, for a server and a client", joining)
			}
			for what, text := range map[string]string{"the function's environment": b, "the server's log": server.log(), "the runtime's log": r.log()} {
				if strings.Contains(text, proxyPassword) {
					t.Errorf("%s holds the proxy's password: %s", what, text)
				}
			}
		})
	}
}

func TestAProxyThatRefusesIsCalledThat(t *testing.T) {
	t.Parallel()
	proxy := startConnectProxy(t, "127.0.0.1:1", false)
	server := start(t, proxy.env(t), nil, "server", "--balancer", "https://balancer.invalid", "--token", "wa_join_x", "--data", t.TempDir())
	eventually(t, "the log says what is wrong", func() bool {
		return strings.Contains(server.log(), "the proxy "+proxy.URL) && strings.Contains(server.log(), "502")
	})
	if strings.Contains(server.log(), proxyPassword) {
		t.Errorf("the log holds the proxy's password: %s", server.log())
	}
}

func TestLoopbackGoesByNoProxy(t *testing.T) {
	t.Parallel()
	b := newPost(t)
	dead := "http://127.0.0.1:" + freePort(t, "127.0.0.1")
	server := start(t, []string{"HTTPS_PROXY=" + dead, "HTTP_PROXY=" + dead, "ALL_PROXY=" + dead}, nil,
		append([]string{"server", "--data", t.TempDir()}, b.joinedBy()...)...)
	server.waitFor("joined " + b.url)
}
