package platform

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// limited opens a house whose namespaces have these limits.
func limited(t *testing.T, change func(*controller.Limits)) *house {
	return open(t, t.TempDir(), func(c *Config) {
		c.Limits = controller.DefaultLimits()
		change(&c.Limits)
	})
}

// inOneMinute waits, if need be, until what follows does not cross the end of a minute of the clock.
func inOneMinute(t *testing.T) {
	t.Helper()
	if left := 60 - time.Now().Unix()%60; left < 10 {
		eventually(t, "the next minute", func() bool { return time.Now().Unix()%60 < 10 })
	}
}

func TestInvocationsPerMinute(t *testing.T) {
	h := limited(t, func(l *controller.Limits) { l.PerMinute, l.FiresPerMinute = 3, 2 })
	h.action("a", "x", "")
	h.want(200, "PUT", ns+"triggers/t", `{}`)
	inOneMinute(t)
	h.invoke(200, "a", "")
	h.want(202, "POST", ns+"actions/a", "")
	h.want(404, "POST", ns+"actions/nobody", "") // who tries counts, as in OpenWhisk
	for _, query := range []string{"", "?blocking=true"} {
		if got := h.want(429, "POST", ns+"actions/a"+query, ""); !strings.HasPrefix(got["error"].(string), "Too many requests in the last minute (count: ") ||
			!strings.HasSuffix(got["error"].(string), ", allowed: 3).") || got["code"] == "" {
			t.Errorf("refusal: %v", got)
		}
	}
	for range 2 { // triggers have a limit of their own
		if res := h.call("POST", ns+"triggers/t", "{}"); res.status != 204 {
			t.Fatalf("firing: %d %s", res.status, res.body)
		}
	}
	if got := h.want(429, "POST", ns+"triggers/t", "{}"); got["error"] != "Too many requests in the last minute (count: 3, allowed: 2)." {
		t.Errorf("refusal: %v", got)
	}
	h.want(200, "GET", ns+"actions/a", "") // all else goes on
	if got := h.want(200, "GET", ns+"limits", ""); fmt.Sprintf("%v %v %v", got["invocationsPerMinute"], got["firesPerMinute"], got["concurrentInvocations"]) != "3 2 <nil>" {
		t.Errorf("limits: %v", got)
	}
	if got := at(h.want(200, "GET", "/", ""), "limits"); fmt.Sprintf("%v %v %v", at(got, "actions_per_minute"), at(got, "triggers_per_minute"), at(got, "concurrent_actions")) != "3 2 <nil>" {
		t.Errorf("GET /: %v", got)
	}
}

// A rule that is fired invokes its action as its owner would: that counts, and the trigger's record says what was refused.
func TestARulesInvocationCounts(t *testing.T) {
	h := limited(t, func(l *controller.Limits) { l.PerMinute = 0 })
	h.action("a", "x", "")
	h.want(200, "PUT", ns+"triggers/t", `{}`)
	h.want(200, "PUT", ns+"rules/r", `{"trigger":"/_/t","action":"/_/a"}`)
	id := h.want(202, "POST", ns+"triggers/t", "{}")["activationId"].(string)
	rec := h.want(200, "GET", ns+"activations/"+id, "")
	if logs := logsOf(rec); len(logs) != 1 || !strings.Contains(logs[0], `"error":"Too many requests in the last minute (count: 1, allowed: 0)."`) {
		t.Errorf("the trigger's record: %v", rec)
	}
}

func TestConcurrentInvocations(t *testing.T) {
	h := limited(t, func(l *controller.Limits) { l.Concurrent = 2 })
	gate := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.action("slow", "until="+gate, "")
	h.want(202, "POST", ns+"actions/slow", "")
	h.want(202, "POST", ns+"actions/slow", "")
	if got := h.want(429, "POST", ns+"actions/slow", ""); got["error"] != "Too many concurrent requests in flight (count: 2, allowed: 2)." {
		t.Errorf("refusal: %v", got)
	}
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are over", func() bool { return h.call("POST", ns+"actions/slow?blocking=true", "").status == 200 })
	for range 5 { // one after the other they are never too many
		h.invoke(200, "slow", "")
	}
	h.action("fails", "init-crash", "")
	for range 3 { // also what fails is over
		h.invoke(502, "fails", "")
	}
	h.invoke(200, "slow", "")
}

func TestNamespacesHaveLimitsOfTheirOwn(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("a", "x", "")
	h.action("b", "x", "")
	n := func(i int) *int { return &i }
	set := func(l store.NamespaceLimits) {
		t.Helper()
		if err := h.p.store.SetNamespaceLimits(t.Context(), "guest", l); err != nil {
			t.Fatal(err)
		}
	}
	set(store.NamespaceLimits{InvocationsPerMinute: n(0), MaxActionMemory: n(256), MaxActionTimeout: n(60_000), AllowedKinds: []string{"nodejs:default"}})
	eventually(t, "the new limits are heard of", func() bool { return h.call("POST", ns+"actions/a", "").status == 429 })
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{400, `{"limits":{"memory":512}}`, "requirement failed: memory 512 MB exceeds allowed threshold of 256 MB"},
		{400, `{"limits":{"timeout":60001}}`, "requirement failed: timeout 60001 milliseconds exceeds allowed threshold of 60000 milliseconds"},
		{403, `{"exec":{"kind":"python:3","code":"x"}}`, "The supplied authentication is not authorized to access actions of kind 'python:3'."},
	} {
		if got := h.want(c.status, "PUT", ns+"actions/a?overwrite=true", c.body); !strings.HasSuffix(got["error"].(string), c.want) {
			t.Errorf("%s: %v", c.body, got)
		}
	}
	if got := h.want(200, "GET", ns+"limits", ""); fmt.Sprintf("%v %v %v", got["invocationsPerMinute"], got["maxActionMemory"], got["allowedKinds"]) != "0 256 [nodejs:20]" {
		t.Errorf("limits: %v", got)
	}
	set(store.NamespaceLimits{AllowedKinds: []string{"nodejs:20"}})
	eventually(t, "an action of a kind that is not allowed any more is refused for that", func() bool { return h.call("POST", ns+"actions/a", "").status == 403 })
	set(store.NamespaceLimits{})
	eventually(t, "no limits", func() bool { return h.call("POST", ns+"actions/a?blocking=true", "").status == 200 })
}

// Who wants no records kept gets them in the answer to a blocking invocation, and nowhere else.
func TestActivationsThatAreNotStored(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.action("a", "x", "")
	h.want(200, "PUT", ns+"triggers/t", `{}`)
	h.want(200, "PUT", ns+"rules/r", `{"trigger":"/_/t","action":"/_/a"}`)
	no := false
	if err := h.p.store.SetNamespaceLimits(t.Context(), "guest", store.NamespaceLimits{StoreActivations: &no}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that is heard of", func() bool { return h.want(200, "GET", ns+"limits", "")["storeActivations"] == false })
	ids := []any{
		h.invoke(200, "a", "")["activationId"],
		h.want(202, "POST", ns+"actions/a", "")["activationId"],
		h.want(202, "POST", ns+"triggers/t", "{}")["activationId"],
	}
	eventually(t, "all is over", func() bool { idle, busy := h.containers(); return idle > 0 && busy == 0 })
	for _, id := range ids {
		h.want(404, "GET", ns+"activations/"+fmt.Sprint(id), "")
	}
	if res := h.call("GET", ns+"activations", ""); string(res.body) != "[]" {
		t.Errorf("the list: %s", res.body)
	}
}

func TestSizesAreRefusedInOpenWhisksWords(t *testing.T) {
	h := limited(t, func(l *controller.Limits) { l.Payload, l.Result = 2000, 3000 })
	big := strings.Repeat("x", 2000)
	for _, path := range []string{"actions/a", "triggers/t", "packages/p"} {
		for _, what := range []string{"parameters", "annotations"} {
			body := `{"exec":{"kind":"python:3","code":"x"},"` + what + `":[{"key":"k","value":"` + big + `"}]}`
			if got := h.want(413, "PUT", ns+path, body); got["error"] != what+" larger than allowed: 2003 > 2000 bytes." {
				t.Errorf("%s, %s: %v", path, what, got)
			}
		}
	}
	h.action("a", "value", "")
	h.action("big", "big=4000", "")
	body := `{"a":"` + big + `"}`
	for _, path := range []string{"actions/a?blocking=true", "triggers/t"} {
		if got := h.want(413, "POST", ns+path, body); got["error"] != "Request larger than allowed: 2008 > 2000 bytes." {
			t.Errorf("%s: %v", path, got)
		}
	}
	got := h.invoke(502, "big", "")
	if text := fmt.Sprint(at(got, "response", "result", "error")); !strings.HasPrefix(text, "The action produced a response that exceeded the allowed length: 4010 > 3000 bytes.") {
		t.Errorf("a big result: %.200s", text)
	}
	if got := h.want(200, "GET", ns+"limits", ""); got["maxParameterSize"] != "2000 B" || got["truncationSize"] != "3000 B" {
		t.Errorf("limits: %v", got)
	}
}

// Who is blocked, or whose key was removed, is refused within a second or so; unblocked it goes on.
func TestBlockedAndRemovedSubjects(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.want(200, "GET", ns+"limits", "")
	status := func(want int) func() bool {
		return func() bool { return h.call("GET", ns+"actions", "").status == want }
	}
	block := func(blocked bool) {
		t.Helper()
		if err := h.p.store.BlockSubjects(t.Context(), "guest", blocked); err != nil {
			t.Fatal(err)
		}
	}
	block(true)
	eventually(t, "it is blocked", status(401))
	if got := h.want(401, "GET", ns+"actions", ""); got["error"] != "The supplied authentication is invalid" {
		t.Errorf("refusal: %v", got)
	}
	block(false)
	eventually(t, "it is unblocked", status(200))
	if err := h.p.store.RemoveSubject(t.Context(), h.auth[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is removed", status(401))
}
