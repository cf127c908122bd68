package test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// Another namespace that knows all about a function, its code's digest, its ID and
// its lease, gets nothing by that, and cannot even tell whether it is there.
func TestDigestAndIDGiveNoAccess(t *testing.T) {
	onTenantHosts(t, func(t *testing.T, h tenantHost) {
		alice := newVictim(t, h.url, aliceSecret, "alice")
		t.Run("her code is not his", func(t *testing.T) { herCodeIsNotHis(t, h, alice) })
		t.Run("her namespace is not his", func(t *testing.T) { herNamespaceIsNotHis(t, h, alice) })
		t.Run("her function is not his", func(t *testing.T) { herFunctionIsNotHis(t, h, alice, bobSecret, "") })
		t.Run("her function is not his, by a token for all", func(t *testing.T) { herFunctionIsNotHis(t, h, alice, wholeSecret, "bob") })
		t.Run("the same code of his own is another function", func(t *testing.T) { sameCodeIsAnother(t, h, alice) })
		alice.unharmed(t)
	})
}

// lies is a digest, and an ID, of nothing.
var lies = strings.Repeat("e", 64)

func initOf(spec function.Spec, lease string) string {
	body, _ := json.Marshal(map[string]any{"spec": spec, "lease": map[string]any{"id": lease}})
	return string(body)
}

func herCodeIsNotHis(t *testing.T, h tenantHost, alice *victim) {
	hers, nobodys := countSpec("bob"), countSpec("bob")
	nobodys.Code, _ = function.ParseDigest(lies)
	digest := alice.spec.Code.String()
	said := map[string]string{digest: lies}
	missing := badCase{status: 412, code: "code_missing"}

	got := h.ask(t, bobSecret, asking{method: "POST", path: "/init", body: initOf(hers, "bobs")})
	missing.wantRefusal(t, got)
	sameAnswer(t, "/init with her digest", got, h.ask(t, bobSecret, asking{method: "POST", path: "/init", body: initOf(nobodys, "bobs")}), said)
	got = h.ask(t, bobSecret, asking{method: "POST", path: "/init", body: initOf(hers, alice.lease)})
	missing.wantRefusal(t, got)

	// Who has only the digest cannot make the host give him the bytes.
	for _, guess := range []string{"", "a guess", countPy[:len(countPy)-1]} {
		got := h.ask(t, bobSecret, asking{method: "PUT", path: "/code/" + digest, ns: "bob", body: guess})
		badCase{status: 400, code: "bad_request", words: "SHA-256"}.wantRefusal(t, got)
		sameAnswer(t, "PUT /code", got, h.ask(t, bobSecret, asking{method: "PUT", path: "/code/" + lies, ns: "bob", body: guess}), said)
	}
	got = h.ask(t, bobSecret, asking{method: "POST", path: "/init", body: initOf(hers, "bobs")})
	missing.wantRefusal(t, got)
	alice.unharmed(t)
}

func herNamespaceIsNotHis(t *testing.T, h tenantHost, alice *victim) {
	unknown := alice.spec
	unknown.Action = "nobody's"
	said := map[string]string{alice.spec.Code.String(): lies}
	for _, pair := range [][2]asking{
		{{method: "POST", path: "/init", body: initOf(alice.spec, alice.lease)}, {method: "POST", path: "/init", body: initOf(unknown, "x")}},
		{{method: "PUT", path: "/code/" + alice.spec.Code.String(), ns: "alice", body: countPy}, {method: "PUT", path: "/code/" + lies, ns: "alice", body: countPy}},
		{{method: "POST", path: "/run", id: alice.id.String(), lease: alice.lease, ns: "alice", body: "{}"}, {method: "POST", path: "/run", id: lies, lease: "x", ns: "alice", body: "{}"}},
		{{method: "POST", path: "/renew", id: alice.id.String(), lease: alice.lease, ns: "alice"}, {method: "POST", path: "/renew", id: lies, lease: "x", ns: "alice"}},
		{{method: "POST", path: "/stop", id: alice.id.String(), lease: alice.lease, ns: "alice"}, {method: "POST", path: "/stop", id: lies, lease: "x", ns: "alice"}},
	} {
		got := h.ask(t, bobSecret, pair[0])
		badCase{status: 403, code: "forbidden", words: "bob"}.wantRefusal(t, got, alice.lease)
		sameAnswer(t, pair[0].path+" for her", got, h.ask(t, bobSecret, pair[1]), said)
		alice.unharmed(t)
	}
}

// herFunctionIsNotHis tries her ID with her lease, with another, and with none that
// was ever granted. ns is what he restricts himself to.
func herFunctionIsNotHis(t *testing.T, h tenantHost, alice *victim, secret, ns string) {
	for _, lease := range []string{alice.lease, "bobs", function.NewLeaseID()} {
		for _, path := range []string{"/run", "/renew", "/stop"} {
			of := func(id, lease string) rawAnswer {
				return h.ask(t, secret, asking{method: "POST", path: path, id: id, lease: lease, ns: ns, body: "{}"})
			}
			got := of(alice.id.String(), lease)
			if path == "/stop" { // to end what is not there is no error
				if got.status != 204 || got.body != "" {
					t.Errorf("/stop: %d %q", got.status, got.body)
				}
			} else {
				badCase{status: 404, code: "unknown_function"}.wantRefusal(t, got, alice.lease, "alice")
			}
			sameAnswer(t, path, got, of(lies, lease), nil)
			alice.unharmed(t) // nothing ran, and her lease has not ended
		}
	}
}

// sameCodeIsAnother gives him the same function in all but its namespace.
func sameCodeIsAnother(t *testing.T, h tenantHost, alice *victim) {
	bob := &victim{url: h.url, secret: bobSecret, client: wireClient(t, h.url, bobSecret), spec: countSpec("bob"), lease: alice.lease} // the very same lease id
	bob.begin(t)
	if bob.id == alice.id || bob.worker == alice.worker {
		t.Fatalf("his function has the ID %s and the worker %s; hers %s and %s", bob.id, bob.worker, alice.id, alice.worker)
	}
	alice.unharmed(t)
	bob.unharmed(t)
	// His own ID and lease are as foreign to her.
	got := h.ask(t, aliceSecret, asking{method: "POST", path: "/run", id: bob.id.String(), lease: bob.lease, body: "{}"})
	badCase{status: 404, code: "unknown_function"}.wantRefusal(t, got, "bob")
	bob.unharmed(t)
	// The end of his lease is not that of hers, though both have one name.
	if err := bob.client.Stop(t.Context(), bob.id, function.Claim{Lease: bob.lease}); err != nil {
		t.Fatal(err)
	}
	alice.unharmed(t)
	got = h.ask(t, bobSecret, asking{method: "POST", path: "/run", id: bob.id.String(), lease: bob.lease, body: "{}"})
	badCase{status: 404, code: "unknown_function"}.wantRefusal(t, got)
}
