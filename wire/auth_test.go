package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// roleTokens is an Authorizer whose secrets are the role, and maybe a
// namespace: "client", "client/guest".
type roleTokens struct{}

func (roleTokens) Authorize(secret string) (Principal, error) {
	role, namespace, _ := strings.Cut(secret, "/")
	switch Role(role) {
	case RoleJoin, RoleClient, RoleAdmin:
		return Principal{Role: Role(role), Namespace: namespace}, nil
	}
	return Principal{}, wrongToken(secret)
}

func TestAlwaysTrue9RolesAndEndpoints(t *testing.T) {
	noLeaks(t)
	host := &fakeHost{}
	addr := serve(t, NewHandler(HandlerConfig{Host: host, Auth: roleTokens{}}), Server{})
	spec := testSpec("x")
	host.code = map[string]string{"guest " + spec.Code.String(): "x"}
	body, _ := json.Marshal(map[string]any{"spec": spec, "lease": map[string]any{"id": "l"}})
	calls := []struct{ method, path, body string }{
		{"PUT", "/code/" + spec.Code.String(), "x"}, {"POST", "/init", string(body)}, {"POST", "/run", "{}"},
		{"POST", "/renew", ""}, {"POST", "/stop", ""}, {"GET", "/status", ""}, {"POST", "/join", ""},
		{"GET", "/healthz", ""}, {"GET", "/readyz", ""}, {"GET", "/nothing", ""}, {"GET", "/run", ""},
	}
	for _, row := range []struct{ token, want string }{
		//             code init run renew stop status join healthz readyz nothing wrong-method
		{"", "         401  401  401 401   401  401    401  200     200    404     405"},
		{"wrong", "    401  401  401 401   401  401    401  200     200    404     405"},
		{"join", "     403  403  403 403   403  403    400  200     200    404     405"},
		{"client", "   204  200  200 204   204  403    403  200     200    404     405"},
		{"client/guest", "204  200  200 204 204  403    403  200     200    404     405"},
		{"client/other", "403  403  403 403 403  403    403  200     200    404     405"},
		{"admin", "    204  200  200 204   204  200    403  200     200    404     405"},
	} {
		var got []string
		for _, call := range calls {
			resp, text := send(t, addr, row.token, call.method, call.path, call.body)
			got = append(got, fmt.Sprint(resp.StatusCode))
			if resp.Header.Get(headerVersion) != Version {
				t.Errorf("%s: no version", call.path)
			}
			if resp.StatusCode < 400 {
				continue
			}
			var e refusal
			if json.Unmarshal([]byte(text), &e) != nil || e.Code == "" || e.Error == "" || resp.Header.Get(headerStarted) != "no" {
				t.Errorf("%s %s: %q, %v", row.token, call.path, text, resp.Header)
			}
		}
		if strings.Join(got, " ") != strings.Join(strings.Fields(row.want), " ") {
			t.Errorf("%q:\ngot  %s\nwant %s", row.token, got, strings.Fields(row.want))
		}
	}
}

func send(t *testing.T, addr, token, method, path, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set(headerFunction, function.ID{}.String())
	r.Header.Set(headerLease, "l")
	r.Header.Set(headerNamespace, "guest")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestBadRequestsSayWhy(t *testing.T) {
	noLeaks(t)
	limits := function.BodyLimits{Memory: 10, Max: 20}
	addr := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: roleTokens{}, Body: limits, Ready: func() error {
		return function.Errorf(function.CodeDraining, "about to end")
	}}), Server{})
	for _, test := range []struct {
		method, path, body string
		header             map[string]string
		status             int
		words              string
	}{
		{"POST", "/run", "{}", map[string]string{headerFunction: ""}, 400, "Whiskaway-Function is missing"},
		{"POST", "/run", "{}", map[string]string{headerFunction: "zz"}, 400, "function id"},
		{"POST", "/run", "{}", map[string]string{headerLease: ""}, 400, "Whiskaway-Lease is missing"},
		{"POST", "/run", "{}", map[string]string{headerTimeout: "-1"}, 400, "milliseconds"},
		{"POST", "/run", "{}", map[string]string{headerVersion: "2.0"}, 400, "must be updated"},
		{"POST", "/run", "{}", map[string]string{headerVersion: "x"}, 400, "not a version"},
		{"POST", "/run", "{}", map[string]string{headerVersion: "1.7"}, 200, ""},
		{"POST", "/run", strings.Repeat("x", 21), nil, 413, "limit is 20"},
		{"POST", "/run", strings.Repeat("x", 3<<20), nil, 413, "limit is 20"},
		{"POST", "/init", "{", nil, 400, "as JSON"},
		{"POST", "/init", `{"spec":{}}`, nil, 400, "namespace is missing"},
		{"PUT", "/code/abc", "x", nil, 400, "64 hex digits"},
		{"POST", "/join", "", nil, 403, "client"},
		{"GET", "/readyz", "", nil, 503, "about to end"},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), test.method, "http://"+addr+test.path, strings.NewReader(test.body))
		r.Header.Set("Authorization", "Bearer client")
		r.Header.Set(headerFunction, function.ID{}.String())
		r.Header.Set(headerLease, "l")
		for name, value := range test.header {
			r.Header.Set(name, value)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != test.status || !strings.Contains(string(text), test.words) {
			t.Errorf("%s %v: %d %s", test.path, test.header, resp.StatusCode, text)
		}
	}
}
