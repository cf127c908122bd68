package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A shownPackage is a package or a binding, as it came.
type shownPackage struct {
	Namespace, Name, Version string
	Publish                  bool
	Binding                  struct{ Namespace, Name string }
	Parameters, Annotations  []wskKeyValue
	Actions, Feeds           []struct {
		Name, Version string
		Annotations   []wskKeyValue
	}
}

func (p shownPackage) String() string {
	var actions []string
	for _, a := range p.Actions {
		actions = append(actions, a.Name)
	}
	return fmt.Sprintf("%s/%s %s %v | %s | %s | %v", p.Namespace, p.Name, p.Version, p.Binding, keys(p.Parameters), keys(p.Annotations), actions)
}

func (s *standalone) pkg(method, path, body string) string {
	s.t.Helper()
	var p shownPackage
	s.ask(200, method, restNS+"packages/"+path, body, &p)
	return p.String()
}

func TestBindings(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.ask(200, "PUT", restNS+"packages/p", `{"parameters":[{"key":"a","value":"package"},{"key":"b","value":"package"},{"key":"c","value":"package"},{"key":"d","value":"package"}]}`, nil)
	s.put("p/echo", action{kind: "python:3", code: "import os\ndef main(a):\n    return dict(a, env=os.environ.get('fixed', ''))\n", parameters: `[{"key":"c","value":"action"},{"key":"d","value":"action"}]`})
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", "bound", `{"binding":{"namespace":"_","name":"p"},"parameters":[{"key":"b","value":"binding"},{"key":"c","value":"binding"},{"key":"d","value":"binding"}],"annotations":[{"key":"k","value":1}]}`,
			"guest/bound 0.0.1 {guest p} | b=binding c=binding d=binding | k=1 binding=map[name:p namespace:guest] | []"},
		{"GET", "bound", "", "guest/bound 0.0.1 {guest p} | a=package b=binding c=binding d=binding | k=1 binding=map[name:p namespace:guest] | [echo]"},
		{"PUT", "bound?overwrite=true", `{"binding":{}}`, "guest/bound 0.0.2 {guest p} | b=binding c=binding d=binding | k=1 binding=map[name:p namespace:guest] | []"},
		{"PUT", "bound?overwrite=true", `{"annotations":[{"key":"binding","value":"mine"}]}`, "guest/bound 0.0.3 {guest p} | b=binding c=binding d=binding | binding=map[name:p namespace:guest] | []"},
		{"GET", "p", "", "guest/p 0.0.1 { } | a=package b=package c=package d=package |  | [echo]"},
		{"PUT", "p?overwrite=true", `{"annotations":[{"key":"binding","value":"mine"}]}`, "guest/p 0.0.2 { } | a=package b=package c=package d=package |  | []"},
	} {
		if got := s.pkg(c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s %s:\n%s, want\n%s", c.method, c.path, c.body, got, c.want)
		}
	}

	t.Run("what an action inherits", func(t *testing.T) {
		r := s.compose(200, "bound/echo", `{"d":"request"}`)
		wantResult(t, r, 0, `{"a":"package","b":"binding","c":"action","d":"request","env":""}`)
		if r.note("path") != `"guest/p/echo"` || r.note("binding") != `"guest/bound"` {
			t.Errorf("the record: %+v", r)
		}
		var list []composed
		s.ask(200, "GET", restNS+"activations?name=bound%2Fecho", "", &list)
		if len(list) != 1 || list[0].ActivationID != r.ActivationID {
			t.Errorf("the list: %+v", list)
		}
		var a wskAction
		s.ask(200, "GET", restNS+"actions/bound/echo", "", &a)
		if got := keys(a.Parameters); a.Namespace != "guest/p" || got != "a=package b=binding c=action d=action" || a.Exec.Code == nil {
			t.Errorf("the action: %+v %s", a, got)
		}
	})
	t.Run("init parameters are each binding's own", func(t *testing.T) {
		for _, name := range []string{"one", "two"} {
			s.ask(200, "PUT", restNS+"packages/"+name, `{"binding":{"namespace":"_","name":"p"},"parameters":[{"key":"fixed","value":"`+name+`","init":true}]}`, nil)
		}
		for range 2 {
			for _, name := range []string{"one", "two"} {
				if r := s.compose(200, name+"/echo", `{}`); !strings.Contains(string(r.Response.Result), `"env":"`+name+`"`) {
					t.Errorf("%s: %s", name, r.Response.Result)
				}
			}
		}
		s.ask(200, "PUT", restNS+"packages/one?overwrite=true", `{"parameters":[{"key":"fixed","value":"changed","init":true}]}`, nil)
		if r := s.compose(200, "one/echo", `{}`); !strings.Contains(string(r.Response.Result), `"env":"changed"`) {
			t.Errorf("after a change: %s", r.Response.Result)
		}
	})
	t.Run("sequences, conductors and rules lead through it", func(t *testing.T) {
		s.sequence("seq", "/_/bound/echo")
		r := s.compose(200, "seq", `{"d":1}`)
		if list := s.checkComposition(r); names(list) != "echo" || list[0].note("binding") != `"guest/bound"` {
			t.Errorf("the parts: %+v", list)
		}
		s.put("leads", action{kind: "python:3", annotations: isConductor, code: "def main(a):\n    return {'params': a} if 'c' in a else {'action': 'bound/echo', 'params': {'d': 2}}\n"})
		wantResult(t, s.compose(200, "leads", `{}`), 0, `{"a":"package","b":"binding","c":"action","d":2,"env":""}`)
		s.ask(200, "PUT", restNS+"triggers/bell", `{}`, nil)
		s.ask(200, "PUT", restNS+"rules/onBell", `{"trigger":"/_/bell","action":"/_/bound/echo"}`, nil)
		var fired struct {
			ActivationID string `json:"activationId"`
		}
		s.ask(202, "POST", restNS+"triggers/bell", `{"d":3}`, &fired)
		var line struct {
			ActivationID string `json:"activationId"`
		}
		if logs := s.recordOf(fired.ActivationID).Logs; len(logs) != 1 || json.Unmarshal([]byte(logs[0]), &line) != nil {
			t.Fatalf("the trigger's logs: %q", logs)
		}
		wantResult(t, s.recordOf(line.ActivationID), 0, `{"a":"package","b":"binding","c":"action","d":3,"env":""}`)
		// A sequence that a binding leads to is itself.
		s.sequence("p/seq", "/_/p/echo")
		s.refused(400, "Sequence may not refer to itself.", "PUT", restNS+"actions/p/seq?overwrite=true", sequenceBody("/_/bound/seq"))
		s.ask(200, "DELETE", restNS+"actions/p/seq", "", nil)
	})
	t.Run("lists", func(t *testing.T) {
		var actions []wskAction
		s.ask(200, "GET", restNS+"actions/bound/", "", &actions)
		var n struct{ Actions int }
		s.ask(200, "GET", restNS+"actions/bound/?count=true", "", &n)
		if len(actions) != 1 || actions[0].Namespace != "guest/p" || n.Actions != 1 {
			t.Errorf("the binding's actions: %+v, %d", actions, n.Actions)
		}
		var packages []shownPackage
		s.ask(200, "GET", restNS+"packages?limit=0", "", &packages)
		var all []string
		for _, p := range packages {
			all = append(all, p.Name+p.Binding.Name)
		}
		if got := strings.Join(all, " "); got != "onep twop p boundp" {
			t.Errorf("the packages: %s", got)
		}
	})
	for _, c := range []struct {
		status                     int
		reason, method, path, body string
	}{
		{400, "Package name 'default' is reserved.", "PUT", "packages/default", `{}`},
		{400, "Binding references a package that does not exist.", "PUT", "packages/x", `{"binding":{"namespace":"_","name":"nobody"}}`},
		{409, "Cannot bind to a resource that is not a package.", "PUT", "packages/x", `{"binding":{"namespace":"_","name":"seq"}}`},
		{400, "Cannot bind to another package binding.", "PUT", "packages/x", `{"binding":{"namespace":"_","name":"bound"}}`},
		{400, "Cannot bind to another package binding.", "PUT", "packages/bound?overwrite=true", `{"binding":{"namespace":"_","name":"bound"}}`},
		{400, "Binding references a package that does not exist.", "PUT", "packages/itself", `{"binding":{"namespace":"_","name":"itself"}}`},
		{409, "Resource is a package and cannot be converted into a binding.", "PUT", "packages/p?overwrite=true", `{"binding":{"namespace":"_","name":"p"}}`},
		{409, "resource already exists", "PUT", "packages/bound", `{"binding":{"namespace":"_","name":"p"}}`},
		{400, "The request content was malformed:\n'binding' must not be a JSON string", "PUT", "packages/x", `{"binding":"p"}`},
		{400, "The name of the entity contains illegal characters.", "PUT", "packages/x", `{"binding":{"namespace":"_"}}`},
		{400, "Operation not permitted on package binding.", "PUT", "actions/bound/new", `{"exec":{"kind":"python:3","code":"x"}}`},
		{400, "Operation not permitted on package binding.", "DELETE", "actions/bound/echo", ""},
		{404, "The requested resource does not exist.", "POST", "actions/bound/nobody", `{}`},
		{404, "The requested resource does not exist.", "GET", "actions/nopackage/", ""},
		{409, "Package not empty (contains 1 entity). Set force param or delete package contents.", "DELETE", "packages/p", ""},
	} {
		s.refused(c.status, c.reason, c.method, restNS+c.path, c.body)
	}
	t.Run("the provider is gone", func(t *testing.T) {
		s.ask(200, "DELETE", restNS+"packages/p?force=true", "", nil)
		for _, path := range []string{"packages/bound", "actions/bound/echo", "actions/bound/"} {
			s.refused(404, "The requested resource does not exist.", "GET", restNS+path, "")
		}
		s.refused(404, "The requested resource does not exist.", "POST", restNS+"actions/bound/echo", `{}`)
		s.refused(404, "The requested resource does not exist.", "POST", restNS+"actions/seq?blocking=true", `{}`)
		s.ask(200, "DELETE", restNS+"packages/bound", "", nil)
	})
}

// final parameters are not the caller's to set.
func TestFinalParameters(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.ask(200, "PUT", restNS+"packages/p", `{"parameters":[{"key":"inherited","value":1}]}`, nil)
	s.put("p/a", action{kind: "python:3", code: "def main(a):\n    return a\n", annotations: `[{"key":"final","value":true}]`,
		parameters: `[{"key":"fixed","value":2},{"key":"open","value":null}]`})
	const why = "Request defines parameters that are not allowed (e.g., reserved properties)."
	for _, args := range []string{`{"fixed":1}`, `{"inherited":null}`, `{"x":1,"fix\u0065d":1}`} {
		s.refused(400, why, "POST", restNS+"actions/p/a?blocking=true", args)
	}
	wantResult(t, s.compose(200, "p/a", `{"open":3,"x":4}`), 0, `{"inherited":1,"fixed":2,"open":3,"x":4}`)
	s.put("p/a", action{kind: "python:3", code: "def main(a):\n    return a\n", annotations: `[{"key":"final","value":false}]`})
	wantResult(t, s.compose(200, "p/a", `{"fixed":3}`), 0, `{"inherited":1,"open":null,"fixed":3}`)
}
