package test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSequences(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	for _, name := range []string{"a", "b", "c"} {
		s.put(name, step(name))
	}
	s.ask(200, "PUT", restNS+"packages/p", `{"parameters":[{"key":"x","value":1.50},{"key":"y","value":"package"}]}`, nil)
	s.put("p/d", action{kind: "python:3", code: "def main(a):\n    return a\n", parameters: `[{"key":"y","value":"action"},{"key":"z","value":12345678901234567890}]`})
	s.put("fails", action{kind: "python:3", code: "def main(a):\n    return {'error': 'not today'}\n"})
	s.put("crashes", action{kind: "python:3", code: "import os\ndef main(a):\n    os._exit(3)\n"})
	s.put("list", action{kind: "nodejs:20", code: "function main(a) { return [1, a.path] }"})
	s.put("counts", action{kind: "nodejs:20", code: "function main(a) { return { isList: Array.isArray(a), all: a } }"})

	t.Run("one after the other", func(t *testing.T) {
		s.sequence("abc", "/_/a", "/guest/b", "guest/c")
		r := s.compose(200, "abc", `{"path":">","n":1}`)
		wantResult(t, r, 0, `{"path":">abc","n":1}`)
		if list := s.checkComposition(r); names(list) != "a b c" {
			t.Errorf("the parts: %s", names(list))
		}
		if r.Cause != "" || r.note("topmost") != "true" || r.note("path") != `"guest/abc"` || r.note("causedBy") != "" ||
			r.note("limits") != `{"timeout":60000,"memory":256,"logs":10,"concurrency":1}` || r.Version != "0.0.1" || r.Name != "abc" || r.Subject != "guest" {
			t.Errorf("the record: %+v", r)
		}
		var list []composed
		s.ask(200, "GET", restNS+"activations?name=abc", "", &list)
		if len(list) != 1 || list[0].ActivationID != r.ActivationID {
			t.Errorf("the list: %+v", list)
		}
	})
	t.Run("parameters of packages and actions", func(t *testing.T) {
		s.sequence("pd", "/_/a", "/_/p/d")
		wantResult(t, s.compose(200, "pd", `{"y":7}`), 0, `{"x":1.5,"z":12345678901234567890,"y":7,"path":"a"}`)
	})
	t.Run("arrays", func(t *testing.T) {
		s.sequence("lists", "/_/list", "/_/counts")
		wantResult(t, s.compose(200, "lists", `{"path":"x"}`), 0, `{"isList":true,"all":[1,"x"]}`)
	})
	t.Run("stops at the first error", func(t *testing.T) {
		s.sequence("early", "/_/a", "/_/fails", "/_/c")
		r := s.compose(502, "early", `{}`)
		wantResult(t, r, 1, `{"error":"not today"}`)
		if list := s.checkComposition(r); names(list) != "a fails" || r.Response.Status != "application error" {
			t.Errorf("%s: %+v", names(list), r)
		}
		s.sequence("broken", "/_/crashes", "/_/c")
		r = s.compose(502, "broken", `{}`)
		if list := s.checkComposition(r); names(list) != "crashes" || r.StatusCode != 2 || !strings.Contains(string(r.Response.Result), "exited with code 3") {
			t.Errorf("%s: %+v", names(list), r)
		}
	})
	t.Run("in each other", func(t *testing.T) {
		s.sequence("inner", "/_/b", "/_/c")
		s.sequence("outer", "/_/a", "/_/inner", "/_/a")
		r := s.compose(200, "outer", `{}`)
		wantResult(t, r, 0, `{"path":"abca"}`)
		list := s.checkComposition(r)
		if names(list) != "a inner a" {
			t.Fatalf("the parts: %s", names(list))
		}
		if inner := s.checkComposition(list[1]); names(inner) != "b c" || list[1].note("topmost") != "false" {
			t.Errorf("the inner one: %+v, %s", list[1], names(inner))
		}
		s.sequence("innerFails", "/_/fails", "/_/c")
		s.sequence("outerFails", "/_/a", "/_/innerFails", "/_/a")
		r = s.compose(502, "outerFails", `{}`)
		wantResult(t, r, 1, `{"error":"not today"}`)
		if list := s.checkComposition(r); names(list) != "a innerFails" {
			t.Errorf("the parts: %s", names(list))
		}
	})
	t.Run("a part is gone", func(t *testing.T) {
		s.put("leaves", step("l"))
		s.sequence("gone", "/_/a", "/_/leaves")
		s.ask(200, "DELETE", restNS+"actions/leaves", "", nil)
		r := s.compose(502, "gone", `{}`)
		wantResult(t, r, 1, `{"error":"Sequence component does not exist."}`)
		if list := s.checkComposition(r); names(list) != "a" {
			t.Errorf("the parts: %s", names(list))
		}
	})
	t.Run("too many in the end", func(t *testing.T) {
		s.sequence("grows", "/_/a")
		s.sequence("thirty", repeat("/_/grows", 30)...)
		s.sequence("grows", "/_/a", "/_/a")
		r := s.compose(502, "thirty", `{}`)
		wantResult(t, r, 1, `{"error":"Too many actions in the sequence."}`)
		if list := s.parts(r); len(list) != 25 {
			t.Errorf("%d parts", len(list))
		}
	})
	t.Run("nobody waits", func(t *testing.T) {
		var accepted struct {
			ActivationID string `json:"activationId"`
		}
		s.ask(202, "POST", restNS+"actions/abc", `{}`, &accepted)
		r := s.recordOf(accepted.ActivationID)
		wantResult(t, r, 0, `{"path":"abc"}`)
		s.checkComposition(r)
	})
	t.Run("the wait is over first", func(t *testing.T) {
		s.put("slow", action{kind: "python:3", code: "import time\ndef main(a):\n    time.sleep(0.3)\n    return a\n"})
		s.sequence("slowly", "/_/a", "/_/slow", "/_/b")
		var accepted struct {
			ActivationID string `json:"activationId"`
		}
		s.ask(202, "POST", restNS+"actions/slowly?blocking=true&timeout=100", `{}`, &accepted)
		wantResult(t, s.recordOf(accepted.ActivationID), 0, `{"path":"ab"}`)
	})
	t.Run("by a rule", func(t *testing.T) {
		s.ask(200, "PUT", restNS+"triggers/bell", `{"parameters":[{"key":"n","value":1}]}`, nil)
		s.ask(200, "PUT", restNS+"rules/onBell", `{"trigger":"/_/bell","action":"/_/abc"}`, nil)
		var fired struct {
			ActivationID string `json:"activationId"`
		}
		s.ask(202, "POST", restNS+"triggers/bell", `{"path":"!"}`, &fired)
		var line struct {
			ActivationID string `json:"activationId"`
		}
		if logs := s.recordOf(fired.ActivationID).Logs; len(logs) != 1 || json.Unmarshal([]byte(logs[0]), &line) != nil {
			t.Fatalf("the trigger's logs: %q", logs)
		}
		r := s.recordOf(line.ActivationID)
		wantResult(t, r, 0, `{"n":1,"path":"!abc"}`)
		if r.note("topmost") != "true" || len(s.checkComposition(r)) != 3 {
			t.Errorf("the record: %+v", r)
		}
	})
	t.Run("the last part's items as they come", func(t *testing.T) {
		s.put("yields", action{kind: "python:3", code: "def main(a):\n    yield a['path']\n    yield 2\n"})
		s.sequence("streams", "/_/a", "/_/yields")
		r := s.stream("streams", "application/x-ndjson", `{}`)
		if b, err := io.ReadAll(r.in); err != nil || string(b) != "\"a\"\n2\n" {
			t.Errorf("the stream: %q, %v", b, err)
		}
		wantResult(t, s.recordOf(r.resp.Header.Get("X-Openwhisk-Activation-Id")), 0, `{"items":["a",2]}`)
	})
	t.Run("on another machine", func(t *testing.T) {
		s.put("away", action{kind: "python:3", main: "main@local", code: "def main(a):\n    return dict(a, path=a['path'] + '@')\n"})
		s.sequence("far", "/_/a", "/_/away")
		r := s.compose(200, "far", `{}`)
		wantResult(t, r, 0, `{"path":"a@"}`)
		if list := s.checkComposition(r); !strings.Contains(list[1].note("whiskaway"), `"balancer"`) {
			t.Errorf("the journey of the part: %s", list[1].note("whiskaway"))
		}
	})
}

func repeat(name string, n int) (list []string) {
	for range n {
		list = append(list, name)
	}
	return list
}

func TestSequencesAreWrittenAndRead(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.put("a", step("a"))
	s.ask(200, "PUT", restNS+"packages/p", `{}`, nil)
	s.put("p/b", step("b"))
	var seq struct {
		Version                 string
		Exec                    map[string]any
		Parameters, Annotations []wskKeyValue
	}
	get := func(method, path, body string) string {
		seq.Exec, seq.Parameters, seq.Annotations = nil, nil, nil
		s.ask(200, method, restNS+"actions/"+path, body, &seq)
		return fmt.Sprintf("%s %v | %s | %s", seq.Version, seq.Exec, keys(seq.Parameters), keys(seq.Annotations))
	}
	const first = `0.0.1 map[components:[/guest/a /guest/p/b] kind:sequence] | _actions=[/guest/a /guest/p/b] | provide-api-key=false exec=sequence`
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", "s", `{"exec":{"kind":"sequence","components":["/_/a","guest/p/b"]},"parameters":[{"key":"x","value":1}]}`, first},
		{"GET", "s", "", first},
		{"GET", "s?code=false", "", first},
		{"PUT", "s?overwrite=true", `{"annotations":[{"key":"k","value":1}],"parameters":[{"key":"x","value":1}]}`,
			`0.0.2 map[components:[/guest/a /guest/p/b] kind:sequence] | _actions=[/guest/a /guest/p/b] | provide-api-key=false k=1 exec=sequence`},
		{"PUT", "s?overwrite=true", `{"exec":{"kind":"sequence","components":[{"path":"_/p","name":"b"}]}}`,
			`0.0.3 map[components:[/guest/p/b] kind:sequence] | _actions=[/guest/p/b] | provide-api-key=false k=1 exec=sequence`},
		{"PUT", "s?overwrite=true", `{"exec":{"kind":"python:3","code":"x"}}`,
			`0.0.4 map[binary:false code:x kind:python:3] |  | provide-api-key=false k=1 exec=python:3 binary=false`},
		{"PUT", "s?overwrite=true", `{"exec":{"kind":"sequence","components":["/_/a"]}}`,
			`0.0.5 map[components:[/guest/a] kind:sequence] | _actions=[/guest/a] | provide-api-key=false k=1 exec=sequence`},
	} {
		if got := get(c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s %s:\n%s, want\n%s", c.method, c.path, c.body, got, c.want)
		}
	}
	var list []struct {
		Name        string
		Annotations []wskKeyValue
	}
	s.ask(200, "GET", restNS+"actions?limit=1", "", &list)
	if len(list) != 1 || list[0].Name != "s" || !strings.Contains(keys(list[0].Annotations), "exec=sequence") {
		t.Errorf("the list: %+v", list)
	}
	s.sequence("t", "/_/s")
	s.sequence("fifty", repeat("/_/a", 50)...)
	const malformed = "The request content was malformed:\n"
	for _, c := range []struct {
		status             int
		path, body, reason string
	}{
		{400, "x", `{"exec":{"kind":"sequence"}}`, malformed + "'components' must be defined for sequence kind"},
		{400, "x", `{"exec":{"kind":"sequence","components":"/_/a"}}`, malformed + "'components' must be an array"},
		{400, "x", `{"exec":{"kind":"sequence","components":[7]}}`, malformed + "fully qualified name malformed"},
		{400, "x", `{"exec":{"kind":"sequence","components":["a"]}}`, malformed + "The fully qualified name of the entity must contain at least the namespace and the name of the entity."},
		{400, "x", `{"exec":{"kind":"sequence","components":["/_/-a"]}}`, "The name of the entity contains illegal characters."},
		{400, "x", sequenceBody(), "No component specified for the sequence."},
		{400, "x", sequenceBody("/_/nobody"), "Sequence component does not exist."},
		{404, "x", sequenceBody("/_/nopackage/a"), "The requested resource does not exist."},
		{400, "x", sequenceBody("/_/p"), "Sequence component does not exist."},
		{403, "x", sequenceBody("/_/a", "/other/a"), "The supplied authentication is not authorized to access 'other/a'."},
		{403, "x", sequenceBody("/other/p/a"), "The supplied authentication is not authorized to access 'other/p/a'."},
		{400, "x", sequenceBody(repeat("/_/a", 51)...), "Too many actions in the sequence."},
		{400, "x", sequenceBody("/_/fifty", "/_/a"), "Too many actions in the sequence."},
		{400, "a?overwrite=true", sequenceBody("/_/a"), "Sequence may not refer to itself."},
		{400, "a?overwrite=true", sequenceBody("/_/t"), "Sequence may not refer to itself."},
		{409, "s", sequenceBody("/_/a"), "resource already exists"},
		{404, "nopackage/x", sequenceBody("/_/a"), "The requested resource does not exist."},
	} {
		s.refused(c.status, c.reason, "PUT", restNS+"actions/"+c.path, c.body)
	}
}

// A thousand callers wait for a sequence each.
func TestAThousandSequencesAtOnce(t *testing.T) {
	s := startStandalone(t, t.TempDir(), "--max-sequence", "2")
	s.put("a", step("a"))
	s.sequence("aa", "/_/a", "/_/a")
	s.refused(400, "Too many actions in the sequence.", "PUT", restNS+"actions/aaa", sequenceBody(repeat("/_/a", 3)...))
	s.compose(200, "aa", `{}`)
	began := time.Now()
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			status, b := s.call("POST", restNS+"actions/aa?blocking=true&result=true", fmt.Sprintf(`{"i":%d}`, i))
			if want := fmt.Sprintf(`{"i":%d,"path":"aa"}`, i); status != 200 || string(b) != want {
				t.Errorf("%d %s, want %s", status, b, want)
			}
		})
	}
	all.Wait()
	t.Logf("1000 sequences of 2 actions took %v", time.Since(began).Round(time.Millisecond))
	var n struct{ Activations int }
	s.ask(200, "GET", restNS+"activations?count=true&name=aa", "", &n)
	if n.Activations != 1001 {
		t.Errorf("%d records, want 1001", n.Activations)
	}
}
