package openserverless

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/test/fakeopenserverless"
)

func TestPlainHTTPIsForListedHosts(t *testing.T) {
	for _, c := range []struct {
		url   string
		plain []string
		ok    bool
	}{
		{"https://gpu.example.com", nil, true},
		{"http://127.0.0.1:8080/path", nil, true},
		{"http://localhost", nil, true},
		{"http://10.0.0.5:8080", nil, false},
		{"http://10.0.0.5:8080", []string{""}, false},
		{"http://10.0.0.5:8080", []string{"x", " 10.0.0.5"}, true},
		{"http://10.0.0.5:8080", []string{"10.0.0.5:8080"}, true},
		{"http://10.0.0.5:8080", []string{"10.0.0.5:80", "10.0.0"}, false},
		{"http://10.0.0.5", []string{"10.0.0.5:80"}, true},
		{"http://GPU.local", []string{"gpu.LOCAL"}, true},
		{"http://[fd00::1]:80", []string{"[fd00::1]"}, true},
		{"http://[fd00::1]:8080", []string{"[fd00::1]:8080"}, true},
		{"ftp://x", []string{"x"}, false}, {"https://u:secret@x", nil, false}, {"x", nil, false},
	} {
		_, err := NewClient(ClientConfig{URL: c.url, PlainHTTP: c.plain})
		if (err == nil) != c.ok || err != nil && (function.CodeOf(err) != function.CodeBadRequest || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s with %q: %v", c.url, c.plain, err)
		}
	}
	_, err := NewClient(ClientConfig{URL: "http://10.0.0.5:8080"})
	if err == nil || !strings.Contains(err.Error(), "WHISKAWAY_PLAIN_HTTP=10.0.0.5:8080") {
		t.Errorf("no advice: %v", err)
	}
}

func TestProbe(t *testing.T) {
	answer := func(status int, version string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/p/healthz" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
			}
			if version != "" {
				w.Header().Set("Whiskaway-Version", version)
			}
			w.WriteHeader(status)
		}
	}
	for _, c := range []struct {
		handler http.HandlerFunc
		want    function.Protocol
	}{
		{answer(200, "1"), function.ProtocolWhiskaway}, {answer(503, "1"), function.ProtocolWhiskaway}, {answer(200, ""), function.ProtocolOpenServerless},
		{answer(502, ""), ""}, {answer(404, ""), ""}, {answer(301, ""), ""}, {answer(401, ""), ""},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
	} {
		for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
			h := start(c.handler)
			got, err := Probe(t.Context(), h.URL+"/p/", nil)
			h.Close()
			if got != c.want || (err == nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), "protocol=openserverless") {
				t.Errorf("got %q %v, want %q", got, err, c.want)
			}
		}
	}
	if _, err := Probe(t.Context(), "http://"+closedAddress(t), nil); function.CodeOf(err) != function.CodeUnreachable {
		t.Error(err)
	}
	if _, err := Probe(t.Context(), "http://10.0.0.5", nil); function.CodeOf(err) != function.CodeBadRequest {
		t.Error(err)
	}
}

// A certificate that nobody vouches for is no server of theirs, whatever the probe says.
func TestClientChecksCertificates(t *testing.T) {
	s := &fakeopenserverless.Server{Run: echo}
	h := httptest.NewTLSServer(s)
	defer h.Close()
	c := newTestClient(t, h.URL)
	if err := c.PutCode(t.Context(), "guest", function.DigestOf([]byte("x")), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Init(t.Context(), specOf("x"), function.Lease{ID: "l"}); function.CodeOf(err) != function.CodeUnreachable || len(s.Requests()) != 0 {
		t.Error(err)
	}
	c.transport = newTransport(h.Client().Transport.(*http.Transport).TLSClientConfig)
	if _, err := c.Init(t.Context(), specOf("x"), function.Lease{ID: "l"}); err != nil {
		t.Error(err)
	}
}
