package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

func TestInit(t *testing.T) {
	g := newRig(t)
	r := g.do("POST", "/init", goodInit)
	r.want(t, 200, okAnswer)
	if timing := r.header.Get("Server-Timing"); !strings.HasPrefix(timing, "init;dur=") {
		t.Errorf("Server-Timing %q", timing)
	}
	s := g.host.specs[0]
	if s.FullName() != "/guest/hello" || s.Kind != "python:3" || s.Main != "main" || s.APIHost != "http://api" || s.Binary || !s.Require.IsZero() {
		t.Errorf("spec %+v", s)
	}
	if !maps.Equal(s.Env, map[string]string{"COLOR": "blue"}) {
		t.Errorf("env %v", s.Env)
	}
	if len(g.targets) != 0 {
		t.Error("a function without a target went to another host")
	}
	g.wantLogs("", "")
}

func TestInitWithTarget(t *testing.T) {
	g := newRig(t)
	g.do("POST", "/init", `{"value":{"main":"go@gpu&region=eu&memory=8g&kind=nodejs:20","code":"x"}}`).want(t, 200, okAnswer)
	s := g.host.specs[0]
	if s.Main != "go" || s.Kind != "nodejs:20" || s.Require.Memory != 8<<30 || !slices.Equal(s.Require.Labels, []string{"gpu", "region=eu"}) {
		t.Errorf("spec %+v", s)
	}
	if len(g.targets) != 1 || g.targets[0].Host != "" {
		t.Errorf("targets %v", g.targets)
	}
}

func TestInitTwice(t *testing.T) {
	g := newRig(t)
	g.init()
	g.do("POST", "/init", goodInit).want(t, 403, "Cannot initialize the action more than once.")
	g.wantLogs("", "")
	g.run(`{}`).want(t, 200, `{}`)
}

func TestInitFails(t *testing.T) {
	refuse := func(e *function.Error) func(*rig) {
		return func(g *rig) { g.host.onInit = func(context.Context, function.Spec) error { return e } }
	}
	none := func(*rig) {}
	cases := []struct {
		name    string
		prepare func(*rig)
		body    string
		status  int
		text    string
		stderr  string
	}{
		{"not JSON", none, `hello`, 400, "not JSON", ""},
		{"no code", none, `{"value":{"main":"main"}}`, 403, "Missing main/no code to execute.", ""},
		{"bad base64", none, `{"value":{"code":"*","binary":true}}`, 400, "not good base64", ""},
		{"bad target", none, `{"value":{"main":"main@","code":"x"}}`, 400, "nothing follows the @", ""},
		{"bad env", none, `{"value":{"code":"x","env":{"A=B":"c"}}}`, 400, "environment variable", ""},
		{"its own fault", refuse(&function.Error{Code: function.CodeInitFailed, Message: "no such main", Logs: "Traceback"}), goodInit, 502, `{"error":"no such main"}`, "Traceback\n"},
		{"no capacity", refuse(function.Errorf(function.CodeNoCapacity, "no server has the label gpu")), goodInit, 502, "no server has the label gpu", ""},
		{"unreachable", refuse(function.Errorf(function.CodeUnreachable, "refused")), goodInit, 502, "could not be started: refused", ""},
		{"draining", refuse(function.Errorf(function.CodeDraining, "ending")), goodInit, 502, "ending", ""},
		{"time limit", refuse(function.AsError(context.DeadlineExceeded)), goodInit, 502, "was not ready", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t)
			c.prepare(g)
			g.do("POST", "/init", c.body).want(t, c.status, c.text)
			g.wantLogs(guard, c.stderr+guard)
			if files := kept(g.dir); len(files) != 0 {
				t.Errorf("%d files are left", len(files))
			}
			g.host.onInit = func(context.Context, function.Spec) error { return nil }
			g.init() // may be tried again
		})
	}
}

func TestInitWithoutKind(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Kind = "" })
	g.do("POST", "/init", goodInit).want(t, 400, "WHISKAWAY_KIND")
}

func TestInitWithoutHost(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Local, c.Remote = nil, nil })
	g.do("POST", "/init", goodInit).want(t, 400, "say where")
	g.do("POST", "/init", `{"value":{"main":"main@gpu","code":"x"}}`).want(t, 400, "leave out the @")
}

func TestInitWhenHostCannotBeOpened(t *testing.T) {
	opens := 0
	g := newRig(t)
	g.runtime.cfg.Local = func(context.Context, map[string]string) (function.Host, error) {
		if opens++; opens == 1 {
			return nil, errors.New("no python here")
		}
		return g.host, nil
	}
	g.do("POST", "/init", goodInit).want(t, 502, "no python here")
	g.init()
	if opens != 2 {
		t.Errorf("opened %d times", opens)
	}
}

func TestInitDeadline(t *testing.T) {
	cases := []struct {
		name, deadline string
		want           bool // that the context has one
	}{
		{"none", "", false},
		{"past", "1000", false},
		{"not a number", "soon", false},
		{"ahead", fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t)
			var has bool
			g.host.onInit = func(ctx context.Context, _ function.Spec) error {
				_, has = ctx.Deadline()
				return ctx.Err()
			}
			g.do("POST", "/init", `{"value":{"code":"x","env":{"__OW_DEADLINE":"`+c.deadline+`"}}}`).want(t, 200, okAnswer)
			if has != c.want {
				t.Errorf("the context has a deadline: %v", has)
			}
		})
	}
}

func TestInitEndsAtTimeLimit(t *testing.T) {
	g := newRig(t)
	g.host.onInit = func(ctx context.Context, _ function.Spec) error {
		if _, has := ctx.Deadline(); !has {
			t.Error("the init has no time limit")
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	deadline := time.Now().Add(2 * time.Second).UnixMilli() // one that is past counts as none
	g.do("POST", "/init", fmt.Sprintf(`{"value":{"code":"x","env":{"__OW_DEADLINE":"%d"}}}`, deadline)).want(t, 502, "was not ready")
	g.wantLogs(guard, guard)
}

// Of several inits at once, one wins and the others are refused.
func TestInitsAtOnce(t *testing.T) {
	g := newRig(t)
	statuses := make(chan int, 4)
	for range 4 {
		go func() { statuses <- g.do("POST", "/init", goodInit).status }()
	}
	count := map[int]int{}
	for range 4 {
		count[<-statuses]++
	}
	if count[200] != 1 || count[403] != 3 {
		t.Errorf("statuses %v", count)
	}
}

func TestInitLargeCode(t *testing.T) {
	g := newRig(t)
	size := 6 << 20
	body := `{"value":{"code":"` + strings.Repeat("AAAA", size/3) + `","binary":true}}`
	g.do("POST", "/init", body).want(t, 200, okAnswer)
	for _, code := range g.host.codes {
		if len(code) != size/3*3 {
			t.Errorf("%d bytes of code", len(code))
		}
	}
}

// What differs at each first activation goes to the local host beside the function, and is no part of it.
func TestTheLocalHostIsToldThePlatformsVariables(t *testing.T) {
	var told []map[string]string
	g := newRig(t, func(c *Config) {
		local := c.Local
		c.Local = func(ctx context.Context, platform map[string]string) (function.Host, error) {
			told = append(told, platform)
			return local(ctx, platform)
		}
		c.LocalKind, c.LocalConcurrency = "nodejs:20", 7
	})
	g.init()
	if want := map[string]string{"__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/hello", "__OW_API_KEY": "k"}; len(told) != 1 || !maps.Equal(told[0], want) {
		t.Errorf("told %v", told)
	}
	if s := g.host.specs[0]; s.Kind != "nodejs:20" || s.Require.Concurrency != 7 {
		t.Errorf("spec %+v", s)
	}
	elsewhere := newRig(t, func(c *Config) { c.LocalKind, c.LocalConcurrency = "nodejs:20", 7 })
	elsewhere.do("POST", "/init", `{"value":{"main":"main@gpu","code":"x"}}`).want(t, 200, okAnswer)
	if s := elsewhere.host.specs[0]; s.Kind != "python:3" || s.Require.Concurrency != 0 {
		t.Errorf("elsewhere: spec %+v", s)
	}
}

func TestInitErrorsInTheLogs(t *testing.T) {
	for _, c := range []struct {
		err          *function.Error
		answer, logs string
	}{
		{&function.Error{Code: function.CodeInitFailed, Message: "no such module", Logs: "a line"}, "Cannot start action. Check logs for details.", "a line\nno such module\n" + guard},
		{&function.Error{Code: function.CodeInitFailed, Message: "syntax", Unbuilt: true}, "The action failed to generate or locate a binary. See logs for details.", "syntax\n" + guard},
		{&function.Error{Code: function.CodeBusy, Message: "too many"}, "The function could not be started: too many", guard},
	} {
		g := newRig(t, func(c *Config) { c.LogInitErrors = true })
		g.host.onInit = func(context.Context, function.Spec) error { return c.err }
		g.do("POST", "/init", goodInit).want(t, 502, c.answer)
		g.wantLogs(guard, c.logs)
	}
}
