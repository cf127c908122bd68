package openserverless

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestInitDescribesTheFunction(t *testing.T) {
	g := newRig(t)
	c := client("a").with("X", "ü").with("__OW_API_HOST", "https://api").with("__OW_API_KEY", "k")
	g.post("/init", c.initBody(someCode)).want(t, 200, "ok")
	got := g.host.inits[0]
	if got.FullName() != "/ns/guest/hello" || got.Kind != "python:3" || got.Main != "main" || got.Binary || got.APIHost != "https://api" ||
		got.Code != function.DigestOf([]byte(someCode)) || !maps.Equal(got.Env, map[string]string{"X": "ü"}) {
		t.Errorf("%+v", got)
	}
	if got := g.host.codes[codeKey{"ns", got.Code}]; got != someCode {
		t.Errorf("code %q", got)
	}
	if _, code := g.files(); code != 0 {
		t.Errorf("%d codes are left", code)
	}
	g.post("/init", `{"proxiedActionID":"b","value":{"code":"AAEC/w==","binary":true}}`).want(t, 200, "ok") // no hash, no main, no env
	if got := g.host.inits[1]; !got.Binary || got.Main != "main" || got.Action != "action" || g.host.codes[codeKey{"ns", got.Code}] != "\x00\x01\x02\xff" {
		t.Errorf("%+v", got)
	}
	g.post("/run", byID("b")).want(t, 200, "response")
}

func TestMainMaySayMore(t *testing.T) {
	for main, want := range map[string]function.Spec{
		"":                          {Main: "main", Kind: "python:3"},
		"f":                         {Main: "f", Kind: "python:3"},
		"f&kind=nodejs:20":          {Main: "f", Kind: "nodejs:20"},
		"&kind=nodejs:20&memory=1g": {Main: "main", Kind: "nodejs:20", Require: function.Requirements{Memory: 1 << 30}},
		"f&gpu&workers=2":           {Main: "f", Kind: "python:3", Require: function.Requirements{Labels: []string{"gpu"}, Workers: 2}},
	} {
		g := newRig(t)
		c := client("a")
		c.main = main
		g.init(c)
		got := g.host.inits[0]
		if got.Main != want.Main || got.Kind != want.Kind || got.Require.Memory != want.Require.Memory || got.Require.Workers != want.Require.Workers || len(got.Require.Labels) != len(want.Require.Labels) {
			t.Errorf("%q: %+v", main, got)
		}
	}
	for main, want := range map[string]string{"f@gpu": "an @", "f&gpu.example.com": "not a host", "f&": "nothing follows", "f&memory=lots": "not a size", "f&x.y&protocol=whiskaway": "not a host"} {
		g := newRig(t)
		c := client("a")
		c.main = main
		g.post("/init", c.initBody(someCode)).want(t, 400, want)
	}
}

func TestInitRefuses(t *testing.T) {
	for body, want := range map[string]struct {
		status int
		text   string
	}{
		``:                        {400, "not JSON"},
		`{"value":{"code":"x"}}`:  {400, "Missing action id"},
		`{"proxiedActionID":"a"}`: {403, "no code to execute"},
		`{"proxiedActionID":"","value":{"code":"x"}}`:                                                     {400, "Missing action id"},
		`{"proxiedActionID":7,"value":{"code":"x"}}`:                                                      {400, "Missing action id"},
		`{"proxiedActionID":"a b","value":{"code":"x"}}`:                                                  {400, "visible ASCII"},
		`{"proxiedActionID":"a","value":{"code":"?","binary":true}}`:                                      {400, "base64"},
		`{"proxiedActionID":"a","value":{"code":"x","env":{"A=B":"secret"}}}`:                             {400, "environment variable"},
		`{"proxiedActionID":"a","value":{"code":"x","env":{"__OW_ACTION_NAME":"/a/b\n"}}}`:                {400, "control character"},
		`{"proxiedActionID":"a","value":{"code":"x","env":{"__OW_API_KEY":"` + repeat("k", 2000) + `"}}}`: {400, "__OW_API_KEY"},
	} {
		g := newRig(t)
		r := g.post("/init", body)
		r.want(t, want.status, want.text)
		if strings.Contains(r.body, "secret") {
			t.Errorf("the answer tells a value: %s", r.body)
		}
		if sessions, code := g.files(); sessions+code != 0 || len(g.host.inits) != 0 {
			t.Errorf("%s: something is left", body)
		}
	}
}

func TestInitThatFails(t *testing.T) {
	g := newRig(t)
	g.host.onInit = func(ctx context.Context, _ function.Spec) error {
		return &function.Error{Code: function.CodeInitFailed, Message: "It cannot be loaded.", Logs: "Traceback <b>\n"}
	}
	g.post("/init", client("a").initBody(someCode)).want(t, 502, `It cannot be loaded.\n--- logs ---\nTraceback <b>"`)
	g.post("/run", byID("a")).want(t, 404, "")
	if sessions, code := g.files(); sessions+code != 0 {
		t.Error("something is left")
	}
	g.host.onInit = func(context.Context, function.Spec) error { return nil }
	g.init(client("a"))
}

func TestInitEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.host.onInit = func(ctx context.Context, _ function.Spec) error {
			<-ctx.Done()
			return function.AsError(ctx.Err())
		}
		deadline := strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10)
		began := time.Now()
		g.post("/init", client("a").with("__OW_DEADLINE", deadline).initBody(someCode)).want(t, 502, "its start may go on")
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// FuzzInit sends arbitrary bodies to /init. Whatever they say, a function belongs to the listener's
// namespace and has none of the platform's variables; what is refused leaves nothing.
func FuzzInit(f *testing.F) {
	f.Add([]byte(client("a").with("X", "y").initBody(someCode)))
	f.Add([]byte(`{"value":{"code":"AAEC","binary":true,"main":"f&kind=native&gpu","env":{"__OW_NAMESPACE":"x","N":1}},"proxiedActionID":"a"}`))
	f.Add([]byte(`{"proxiedActionID":"a","value":{"code":"x","name":"/a/b","env":{"__OW_ACTION_NAME":"/","__OW_DEADLINE":"99999999999999"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g := newRig(t)
		r := g.post("/init", string(body))
		sessions, code := g.files()
		if taken := r.status == 200; taken != (sessions == 1) || taken != (len(g.host.inits) == 1) || code != 0 {
			t.Fatalf("%q: %d, %d sessions, %d codes, %d inits", body, r.status, sessions, code, len(g.host.inits))
		}
		for _, spec := range g.host.inits {
			if spec.Namespace != "ns" || spec.Check() != nil {
				t.Errorf("%q: %+v", body, spec)
			}
		}
		if r.status == 200 {
			g.restart()
			if g.face.sessions.order.Len() != 1 {
				t.Errorf("%q: the session is not taken over by the next server", body)
			}
		}
	})
}
