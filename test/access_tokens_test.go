package test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// Without the right token nothing is answered, and nothing is done: not even
// whether something is there can be asked.
func TestAlwaysTrue9NothingIsDoneWithoutTheRightToken(t *testing.T) {
	onTenantHosts(t, func(t *testing.T, h tenantHost) {
		v := newVictim(t, h.url, wholeSecret, "alice")
		for name, c := range map[string]struct {
			secret string
			head   []string
		}{
			"no token":              {"", nil},
			"a wrong token":         {"wa_client_wrong", nil},
			"half a token":          {wholeSecret[:len(wholeSecret)-1], nil},
			"more than a token":     {wholeSecret + "x", nil},
			"upper case":            {strings.ToUpper(wholeSecret), nil},
			"a hash of one":         {sha256Hex(wholeSecret), nil},
			"another scheme":        {"", []string{"Authorization: Basic " + wholeSecret}},
			"no scheme":             {"", []string{"Authorization: " + wholeSecret}},
			"another header":        {"", []string{"Proxy-Authorization: Bearer " + wholeSecret, "Cookie: token=" + wholeSecret, "X-Token: " + wholeSecret}},
			"a forwarded address":   {"", []string{"X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"}},
			"a token without end":   {strings.Repeat("x", 500_000), nil},
			"a token that is bytes": {"\xff\xfe", nil},
		} {
			t.Run(name, func(t *testing.T) {
				refusedEverywhere(t, h, v, 401, "unauthorized", c.secret, c.head)
				v.unharmed(t)
			})
		}
		t.Run("the token in the URL", func(t *testing.T) {
			for _, path := range []string{"/run?token=" + wholeSecret, "/run?access_token=" + wholeSecret} {
				got := h.ask(t, "", asking{method: "POST", path: path, id: v.id.String(), lease: v.lease})
				badCase{status: 401, code: "unauthorized"}.wantRefusal(t, got, wholeSecret)
			}
			v.unharmed(t)
		})
		t.Run("a join token", func(t *testing.T) {
			refusedEverywhere(t, h, v, 403, "forbidden", joinSecret, nil)
			v.unharmed(t)
		})
		t.Run("a client's token is for functions only", func(t *testing.T) {
			for _, path := range []string{"GET /status", "POST /join"} {
				method, path, _ := strings.Cut(path, " ")
				got := h.ask(t, wholeSecret, asking{method: method, path: path}, "Upgrade: whiskaway", "Whiskaway-Server: x", "Whiskaway-Name: x", "Whiskaway-Session: x")
				badCase{status: 403, code: "forbidden", words: path}.wantRefusal(t, got, wholeSecret)
			}
			v.unharmed(t)
		})
	})
}

// refusedEverywhere tries everything that a client may do, and the status, with what
// is there and with what is not: all of it is refused alike.
func refusedEverywhere(t *testing.T, h tenantHost, v *victim, status int, code, secret string, head []string) {
	t.Helper()
	const planted = "def main(args): return {'planted': True}\n"
	digest := function.DigestOf([]byte(planted)).String()
	spec := v.spec
	spec.Code = function.DigestOf([]byte(planted))
	here, _ := json.Marshal(map[string]any{"spec": v.spec, "lease": map[string]any{"id": v.lease}})
	elsewhere, _ := json.Marshal(map[string]any{"spec": spec, "lease": map[string]any{"id": v.lease}})
	nobody := strings.Repeat("0", 64)
	for _, pair := range [][2]asking{
		{{method: "PUT", path: "/code/" + v.spec.Code.String(), ns: "alice", body: countPy}, {method: "PUT", path: "/code/" + digest, ns: "alice", body: planted}},
		{{method: "POST", path: "/init", body: string(here)}, {method: "POST", path: "/init", body: string(elsewhere)}},
		{{method: "POST", path: "/run", id: v.id.String(), lease: v.lease, body: "{}"}, {method: "POST", path: "/run", id: nobody, lease: "x", body: "{}"}},
		{{method: "POST", path: "/renew", id: v.id.String(), lease: v.lease}, {method: "POST", path: "/renew", id: nobody, lease: "x"}},
		{{method: "POST", path: "/stop", id: v.id.String(), lease: v.lease}, {method: "POST", path: "/stop", id: nobody, lease: "x"}},
		{{method: "GET", path: "/status"}, {method: "GET", path: "/status", ns: "alice"}},
	} {
		got := h.ask(t, secret, pair[0], head...)
		badCase{status: status, code: code}.wantRefusal(t, got, h.dir, v.lease, wholeSecret, adminSecret)
		if got.header.Get("Whiskaway-Started") != "no" {
			t.Errorf("%s does not say that nothing was started", pair[0].path)
		}
		sameAnswer(t, pair[0].path, got, h.ask(t, secret, pair[1], head...), map[string]string{digest: v.spec.Code.String()})
	}
	if status == 401 { // a join token is good for it
		badCase{status: status, code: code}.wantRefusal(t, h.ask(t, secret, asking{method: "POST", path: "/join"}, append(head, "Upgrade: whiskaway")...), h.dir)
	}
	// The code that was sent must not have been kept.
	if _, err := v.client.Init(t.Context(), spec, function.Lease{ID: "l"}); function.CodeOf(err) != function.CodeCodeMissing {
		t.Errorf("code was kept that came without the right token: %v", err)
	}
}

func sha256Hex(text string) string { return function.DigestOf([]byte(text)).String() }
