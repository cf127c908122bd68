package test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const isConductor = `[{"key":"conductor","value":true}]`

// A conductor that does what its arguments say: each of "steps" is its answer to one
// invocation; what is left of them is its state.
const follows = `
def main(a):
    steps = a.pop('steps', [])
    if not steps:
        return {'params': a}
    return dict(steps[0], state={'steps': steps[1:], **steps[0].get('state', {})})
`

func TestConductors(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	for _, name := range []string{"a", "b"} {
		s.put(name, step(name))
	}
	s.put("fails", action{kind: "python:3", code: "def main(a):\n    return {'error': 'not today'}\n"})
	s.put("follows", action{kind: "python:3", code: follows, annotations: isConductor})
	s.put("list", action{kind: "nodejs:20", code: "function main(a) { return [1, 2] }"})

	t.Run("components in turn", func(t *testing.T) {
		r := s.compose(200, "follows", `{"path":">","steps":[{"action":"a","params":{"path":">"}},{"action":"/_/b","params":{"path":"!","n":1}}]}`)
		wantResult(t, r, 0, `{"path":"!b","n":1}`)
		if list := s.checkComposition(r); names(list) != "follows a follows b follows" {
			t.Errorf("the parts: %s", names(list))
		}
		if r.note("conductor") != "true" || r.note("topmost") != "true" || r.note("path") != `"guest/follows"` || r.note("waitTime") == "" || r.Cause != "" || r.note("causedBy") != "" {
			t.Errorf("the record: %+v", r)
		}
	})
	t.Run("no component", func(t *testing.T) {
		r := s.compose(200, "follows", `{"n":1}`)
		wantResult(t, r, 0, `{"n":1}`)
		if list := s.checkComposition(r); names(list) != "follows" {
			t.Errorf("the parts: %s", names(list))
		}
	})
	t.Run("a component's error is told to the conductor", func(t *testing.T) {
		r := s.compose(200, "follows", `{"steps":[{"action":"fails"},{"action":"a","params":{}}]}`)
		wantResult(t, r, 0, `{"path":"a"}`)
		r = s.compose(200, "follows", `{"steps":[{"action":"fails","state":{"s":1}}]}`)
		wantResult(t, r, 0, `{"error":"not today","s":1}`)
	})
	t.Run("what cannot be invoked is told to the conductor", func(t *testing.T) {
		for action, want := range map[string]string{
			`"nobody"`:            "Failed to resolve action with name 'guest/nobody' during composition.",
			`"nopackage/a"`:       "Failed to resolve action with name 'guest/nopackage/a' during composition.",
			`"/other/a"`:          "Failed entitlement check for action with name 'other/a' during composition.",
			`"/other/p/a"`:        "Failed entitlement check for action with name 'other/p/a' during composition.",
			`{"name":"a"}`:        `Failed to parse action name from json value {"name":"a"} during composition.`,
			`"/_/a/b/c/d"`:        `Failed to parse action name from json value "/_/a/b/c/d" during composition.`,
			`"-"`:                 `Failed to parse action name from json value "-" during composition.`,
			`"follows/follows/a"`: "Failed entitlement check for action with name 'follows/follows/a' during composition.",
		} {
			r := s.compose(200, "follows", `{"steps":[{"action":`+action+`}]}`)
			var got struct{ Error string }
			if json.Unmarshal(r.Response.Result, &got) != nil || got.Error != want {
				t.Errorf("%s: %s, want %s", action, r.Response.Result, want)
			}
			if list := s.checkComposition(r); names(list) != "follows follows" {
				t.Errorf("%s: the parts: %s", action, names(list))
			}
		}
	})
	t.Run("the conductor itself fails", func(t *testing.T) {
		s.put("bad", action{kind: "python:3", code: "def main(a):\n    return {'error': 'no idea', 'action': 'a'}\n", annotations: isConductor})
		r := s.compose(502, "bad", `{}`)
		wantResult(t, r, 1, `{"error":"no idea"}`)
		s.put("worse", action{kind: "python:3", code: "def main(a):\n    raise SystemExit(3)\n", annotations: `[{"key":"conductor","value":1}]`})
		if r := s.compose(502, "worse", `{}`); r.StatusCode == 0 || r.note("conductor") != "true" || len(s.checkComposition(r)) != 1 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("arrays", func(t *testing.T) {
		r := s.compose(200, "follows", `{"steps":[{"action":"list","state":{"s":1}}]}`)
		wantResult(t, r, 0, `{"value":[1,2],"s":1}`)
	})
	t.Run("its own parameters each time", func(t *testing.T) {
		s.put("knows", action{kind: "python:3", annotations: isConductor, parameters: `[{"key":"who","value":"me"}]`,
			code: "def main(a):\n    if 'path' in a:\n        return {'params': a}\n    return {'action': 'a', 'params': {'told': a['who']}}\n"})
		wantResult(t, s.compose(200, "knows", `{}`), 0, `{"who":"me","told":"me","path":"a"}`)
	})
	t.Run("in each other", func(t *testing.T) {
		s.sequence("ab", "/_/a", "/_/b")
		r := s.compose(200, "follows", `{"steps":[{"action":"ab","params":{}},{"action":"follows","params":{"steps":[{"action":"a","params":{}}]}},{"action":"b","params":{}}]}`)
		wantResult(t, r, 0, `{"path":"b"}`)
		list := s.checkComposition(r)
		if names(list) != "follows ab follows follows follows b follows" {
			t.Fatalf("the parts: %s", names(list))
		}
		if inner := s.checkComposition(list[1]); names(inner) != "a b" || list[1].note("topmost") != "false" {
			t.Errorf("the sequence: %+v, %s", list[1], names(inner))
		}
		if inner := s.checkComposition(list[3]); names(inner) != "follows a follows" || list[3].note("topmost") != "false" || list[3].note("conductor") != "true" {
			t.Errorf("the conductor: %+v, %s", list[3], names(inner))
		}
		s.put("steps", action{kind: "python:3", annotations: isConductor,
			code: "def main(a):\n    n = a.pop('n', 0)\n    if n == 2:\n        return {'params': a}\n    return {'action': 'a', 'params': a, 'state': {'n': n + 1}}\n"})
		s.sequence("within", "/_/a", "/_/steps", "/_/b")
		r = s.compose(200, "within", `{}`)
		wantResult(t, r, 0, `{"path":"aaab"}`)
		list = s.checkComposition(r)
		if names(list) != "a steps b" || names(s.checkComposition(list[1])) != "steps a steps a steps" {
			t.Errorf("the parts: %s", names(list))
		}
		// What a conductor says in the end may be an error, though it went well; a sequence stops there.
		s.put("says", action{kind: "python:3", annotations: isConductor, code: "def main(a):\n    return {'params': {'error': 'that is all'}}\n"})
		s.sequence("stops", "/_/says", "/_/a")
		r = s.compose(200, "stops", `{}`)
		wantResult(t, r, 0, `{"error":"that is all"}`)
		if list := s.checkComposition(r); names(list) != "says" {
			t.Errorf("the parts: %s", names(list))
		}
	})
	t.Run("no end", func(t *testing.T) {
		s.put("again", action{kind: "python:3", annotations: isConductor, code: "def main(a):\n    return {'action': 'a', 'params': {}}\n"})
		r := s.compose(502, "again", `{}`)
		wantResult(t, r, 1, `{"error":"Too many actions in the composition."}`)
		all := names(s.checkComposition(r))
		if components, conductors := strings.Count(all+" ", "a "), strings.Count(all, "again"); components != 50 || conductors != 101 {
			t.Errorf("%d components, %d times the conductor", components, conductors)
		}
		s.put("itself", action{kind: "python:3", annotations: isConductor, code: "def main(a):\n    return {'action': 'itself'}\n"})
		r = s.compose(502, "itself", `{}`)
		wantResult(t, r, 1, `{"error":"Too many actions in the composition."}`)
		// A conductor in a sequence begins to count anew, so that only the depth ends this.
		s.put("loops", action{kind: "python:3", annotations: isConductor, code: "def main(a):\n    if a:\n        return {'params': a}\n    return {'action': 'loop'}\n"})
		s.sequence("loop", "/_/loops")
		r = s.compose(200, "loop", `{}`)
		wantResult(t, r, 0, `{"error":"Too many actions in the sequence."}`)
	})
	t.Run("docs/compositions.md", func(t *testing.T) {
		doc, err := os.ReadFile("../docs/compositions.md")
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := strings.Cut(string(doc), "```python\n")
		code, _, ok := strings.Cut(code, "```")
		if !ok {
			t.Fatal("there is no Python in it")
		}
		s.put("plan", action{kind: "python:3", code: code, annotations: isConductor})
		s.put("fetch", action{kind: "python:3", code: "def main(a):\n    return {'page': a['url'] + '!'} if a['url'] else {'error': 'no URL'}\n"})
		s.put("summarize", action{kind: "python:3", code: "def main(a):\n    return {'text': 'short ' + a['page']}\n"})
		wantResult(t, s.compose(200, "plan", `{"url":"u"}`), 0, `{"summary":"short u!"}`)
		wantResult(t, s.compose(200, "plan", `{"url":""}`), 0, `{"summary":"nothing"}`)
	})
	t.Run("nobody waits", func(t *testing.T) {
		var accepted struct {
			ActivationID string `json:"activationId"`
		}
		s.ask(202, "POST", restNS+"actions/follows", `{"steps":[{"action":"a","params":{}}]}`, &accepted)
		r := s.recordOf(accepted.ActivationID)
		wantResult(t, r, 0, `{"path":"a"}`)
		s.checkComposition(r)
	})
}
