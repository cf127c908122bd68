package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// slowPy prints that it has begun, and ends so many seconds later as it was told.
const slowPy = "import time\ndef main(args):\n    print('begun', flush=True)\n    time.sleep(args['seconds'])\n    return {'ended': True}\n"

// A client's token that was revoked, or has expired, is good for nothing more, while its run under way ends as it would.
func TestAlwaysTrue9ATokenThatEndsIsRefusedAtOnce(t *testing.T) {
	onTenantHosts(t, func(t *testing.T, h tenantHost) {
		t.Run("revoked", func(t *testing.T) {
			text, id := makeToken(t, []string{"--data", h.dir}, "--role", "client", "--namespace", "carol")
			tokenEnds(t, h, secretOf(text), 2, func() { run(t, "token", "revoke", id, "--data", h.dir) })
		})
		t.Run("expired", func(t *testing.T) {
			const seconds = 6 // enough to start a function within it
			over := time.After(seconds * time.Second)
			text, _ := makeToken(t, []string{"--data", h.dir}, "--role", "client", "--namespace", "carol", "--ttl", fmt.Sprint(seconds, "s"))
			tokenEnds(t, h, secretOf(text), seconds, func() { <-over })
		})
	})
}

// tokenEnds begins a run of so many seconds, lets the token end, and tries everything with it.
func tokenEnds(t *testing.T, h tenantHost, secret string, seconds int, end func()) {
	refused(t, h.url, secret, false)
	spec := countSpec("carol")
	spec.Code = function.DigestOf([]byte(slowPy))
	c, lease := wireClient(t, h.url, secret), function.NewLeaseID()
	if err := c.PutCode(t.Context(), spec.Namespace, spec.Code, strings.NewReader(slowPy)); err != nil {
		t.Fatal(err)
	}
	id, err := c.Init(t.Context(), spec, function.Lease{ID: lease, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	begun, ended := make(chan struct{}, 1), make(chan function.Outcome, 1)
	go func() {
		out := function.OutputFunc(func(s function.Stream, p []byte) error {
			if s == function.Stdout {
				begun <- struct{}{}
			}
			return nil
		})
		act := &function.Activation{Body: function.BytesBody(fmt.Appendf(nil, `{"value":{"seconds":%d}}`, seconds))}
		sum, err := c.Run(t.Context(), id, function.Claim{Lease: lease}, act, out)
		if err != nil {
			sum.Outcome = function.Outcome(err.Error())
		}
		ended <- sum.Outcome
	}()
	select {
	case <-begun:
	case got := <-ended:
		t.Fatalf("the run ended as %q", got)
	case <-time.After(patience):
		t.Fatal("the run does not begin")
	}
	end()
	refused(t, h.url, secret, true)
	for _, a := range []asking{
		{method: "POST", path: "/init", body: initOf(spec, lease)}, {method: "PUT", path: "/code/" + spec.Code.String(), ns: "carol", body: slowPy},
		{method: "POST", path: "/run", id: id.String(), lease: lease, body: "{}"}, {method: "POST", path: "/renew", id: id.String(), lease: lease},
		{method: "POST", path: "/stop", id: id.String(), lease: lease},
	} {
		badCase{status: 401, code: "unauthorized"}.wantRefusal(t, h.ask(t, secret, a), h.dir, secret)
	}
	if got := <-ended; got != function.OutcomeOK {
		t.Errorf("the run under way ended as %q", got)
	}
}

// A server whose join token ends is no member any more, and the others stay.
func TestAlwaysTrue9AServerIsDroppedWithItsToken(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := p.waitFor(`balancer listening on (\S+)`)
	where := []string{"--data", dir}
	revoked, id := makeToken(t, where, "--role", "join")
	expires, _ := makeToken(t, where, "--role", "join", "--ttl", "6s")
	servers := map[string]*process{}
	for name, token := range map[string]string{"expires": expires, "revoked": revoked, "stays": readToken(t, dir, "join")} {
		servers[name] = start(t, nil, nil, "server", "--balancer", url, "--token", token, "--name", name, "--data", t.TempDir())
	}
	for _, server := range servers {
		server.waitFor("joined")
	}
	v := newVictim(t, url, secretOf(readToken(t, dir, "admin")), "guest")
	run(t, "token", "revoke", id, "--data", dir)
	begin := time.Now()
	eventually(t, "both to be dropped", func() bool { return strings.Join(serversOf(t, dir), " ") == "stays" })
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("that took %v", took)
	}
	v.counter = counter{} // it may have been anywhere
	v.unharmedAnywhere(t)
	for name, want := range map[string]bool{"expires": true, "revoked": true, "stays": false} {
		eventually(t, name+" to notice", func() bool { return strings.Contains(servers[name].log(), "cannot join the balancer") == want })
	}
	for _, log := range []string{p.log(), servers["revoked"].log(), servers["expires"].log()} {
		if strings.Contains(log, secretOf(revoked)) || strings.Contains(log, secretOf(expires)) {
			t.Error("a log tells a token")
		}
	}
}

// unharmedAnywhere runs the function until it is on a server that is there.
func (v *victim) unharmedAnywhere(t *testing.T) {
	t.Helper()
	act := &function.Activation{Body: function.BytesBody([]byte(`{"value":{}}`)), Timeout: patience}
	sum, err := v.client.Run(t.Context(), v.id, function.Claim{Lease: v.lease}, act, function.OutputFunc(func(function.Stream, []byte) error { return nil }))
	if err != nil || sum.Outcome != function.OutcomeOK {
		t.Errorf("the function does not run any more: %v, %+v", err, sum)
	}
}

// serversOf returns the names of the servers that a balancer on this machine has.
func serversOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, s := range statusOf(t, dir).Servers {
		names = append(names, s.Name)
	}
	return names
}

func statusOf(t *testing.T, dir string) (s function.Status) {
	t.Helper()
	out := run(t, "status", "--data", dir, "--json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return s
}
