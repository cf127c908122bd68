package test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// What a join token says of a server counts, and not what the server says; what a client's token demands, its functions get.
func TestLabelsOfTokens(t *testing.T) {
	dir := t.TempDir()
	p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := p.waitFor(`balancer listening on (\S+)`)
	where := []string{"--data", dir}
	join, _ := makeToken(t, where, "--role", "join", "--label", "pool=eu", "--label", "rented")
	for name, token := range map[string]string{"rented": join, "own": readToken(t, dir, "join")} {
		start(t, nil, nil, "server", "--balancer", url, "--token", token, "--name", name, "--label", "mine", "--data", t.TempDir()).waitFor("joined")
	}
	eventually(t, "both servers", func() bool { return len(serversOf(t, dir)) == 2 })
	for _, s := range statusOf(t, dir).Servers {
		has := func(label string) bool { return slices.Contains(s.Labels, label) }
		rented := s.Name == "rented"
		if has("pool=eu") != rented || has("rented") != rented || has("mine") == rented || !has(runtime.GOARCH) || !has(runtime.GOOS) {
			t.Errorf("%s has the labels %v", s.Name, s.Labels)
		}
	}
	text, _ := makeToken(t, where, "--role", "client", "--label", "pool=eu")
	t.Run("a client of the wire", func(t *testing.T) {
		refused(t, url, secretOf(text), false)
		v := newVictim(t, url, secretOf(text), "guest")
		if v.id == v.spec.ID() {
			t.Error("the function's id does not say that it needs the label")
		}
		v.unharmed(t)
		onlyOn(t, dir, "rented", "/guest/count")
		v.spec.Require.Labels = []string{"mine"}
		_, err := v.client.Init(t.Context(), v.spec, function.Lease{ID: "l"})
		if function.CodeOf(err) != function.CodeNoCapacity || !strings.Contains(err.Error(), "pool=eu") {
			t.Errorf("for a label that its servers do not have: %v", err)
		}
	})
	t.Run("a runtime", func(t *testing.T) {
		r := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+url, "WHISKAWAY_TOKEN="+text)
		if status, b := r.post("/init", initBody("main@"+runtime.GOOS, "def main(args):\n    return args\n", map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/f"})); status != 200 {
			t.Fatalf("/init: %d %s", status, b)
		}
		for range 3 {
			if status, b := r.post("/run", runBody(`{"a":"b"}`, "id", time.Now().Add(time.Minute))); status != 200 || compact(t, b) != `{"a":"b"}` {
				t.Errorf("/run: %d %s", status, b)
			}
		}
		onlyOn(t, dir, "rented", "/guest/f")
	})
}

// onlyOn checks which server has a function.
func onlyOn(t *testing.T, dir, server, name string) {
	t.Helper()
	status := statusOf(t, dir)
	found := false
	for _, f := range status.Functions {
		on := slices.IndexFunc(status.Servers, func(s function.ServerStatus) bool { return s.ID == f.Server })
		if "/"+f.Namespace+"/"+f.Action != name || on < 0 {
			continue
		}
		found = true
		if status.Servers[on].Name != server {
			t.Errorf("%s is on %s", name, status.Servers[on].Name)
		}
	}
	if !found {
		t.Errorf("%s is nowhere: %+v", name, status.Functions)
	}
}
