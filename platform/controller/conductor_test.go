package controller

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// say is a conductor's good answer.
func say(result string) outcome { return outcome{result: json.RawMessage(result)} }

func (m move) String() string {
	switch {
	case m.end != nil:
		return fmt.Sprintf("end %d %s", m.end.status, m.end.result)
	case m.conduct != nil:
		return "conduct " + string(m.conduct)
	}
	return fmt.Sprintf("component %s %s", m.component, m.args)
}

func TestConductorsAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		`{}`:                                     `end 0 {}`,
		`{"a":1.0}`:                              `end 0 {"a":1.0}`,
		`[1,2]`:                                  `end 0 [1,2]`,
		`{"params":{"a":1}}`:                     `end 0 {"a":1}`,
		`{"params":7,"state":1}`:                 `end 0 {"value":7}`,
		`{"params":null}`:                        `end 0 {"value":null}`,
		`{"action":"x"}`:                         `component "x" {}`,
		`{"action":"x","params":{"n":1e400}}`:    `component "x" {"n":1e400}`,
		`{"action":"x","params":[1]}`:            `component "x" {"value":[1]}`,
		`{"action":null}`:                        `component null {}`,
		`{"action":{"a": 1},"state":{"s":1}}`:    `component {"a": 1} {}`,
		`{"Action":"x","PARAMS":1}`:              `end 0 {"Action":"x","PARAMS":1}`,
		`{"action":"x","action":"y"}`:            `component "y" {}`,
		`{"error":"no","action":"x"}`:            `component "x" {}`,
		`{"error":"no","params":{"error":"no"}}`: `end 0 {"error":"no"}`,
	} {
		k := conducting{account: &account{limit: 50}}
		if got := k.conducted(say(answer)).String(); got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
	k := conducting{account: &account{limit: 50}}
	if got := k.conducted(outcome{2, json.RawMessage(`{"error":"crashed"}`)}).String(); got != `end 2 {"error":"crashed"}` {
		t.Errorf("a failed conductor: %s", got)
	}
}

func TestStateComesBackAndWins(t *testing.T) {
	for _, c := range []struct{ answer, component, want string }{
		{`{"action":"x"}`, `{"a":1.50}`, `{"a":1.50}`},
		{`{"action":"x","state":{"s":1.0}}`, `{"a":1.50}`, `{"a":1.50,"s":1.0}`},
		{`{"action":"x","state":{"a":2}}`, `{"b":3, "a":1}`, `{"b":3,"a":2}`},
		{`{"action":"x","state":[1]}`, `{}`, `{"state":[1]}`},
		{`{"action":"x","state":{}}`, `{"a":1}`, `{"a":1}`},
		{`{"action":"x","state":{"s":1}}`, `[7]`, `{"value":[7],"s":1}`},
		{`{"action":"x"}`, `[7]`, `[7]`},
		{`{"action":"x","state":{"s":1}}`, `{"a":1,"a":2}`, `{"a":2,"s":1}`},
	} {
		k := conducting{account: &account{limit: 50}}
		k.conducted(say(c.answer))
		if got := k.next(json.RawMessage(c.component)).String(); got != "conduct "+c.want {
			t.Errorf("%s, then %s: %s, want %s", c.answer, c.component, got, c.want)
		}
	}
	k := conducting{account: &account{limit: 50}}
	k.conducted(say(`{"action":"x","state":{"s":1}}`))
	if got := k.refused("not there").String(); got != `conduct {"error":"not there","s":1}` {
		t.Errorf("a refusal: %s", got)
	}
	k.conducted(say(`{"action":"x"}`))
	if got := k.next(json.RawMessage("{}")).String(); got != "conduct {}" {
		t.Errorf("the state was kept for longer than one step: %s", got)
	}
}

// With n components a conductor runs at most 2n+1 times, and then the composition ends.
func TestCompositionsAreBounded(t *testing.T) {
	const limit = 3
	k := conducting{account: &account{limit: limit}}
	m := k.next(json.RawMessage("{}"))
	conductors, components, refused := 0, 0, 0
	for m.end == nil {
		if m.conduct != nil {
			conductors++
			if strings.Contains(string(m.conduct), msgCompositionTooLong) {
				refused++
			}
			m = k.conducted(say(`{"action":"x"}`))
			continue
		}
		components++
		k.account.components++
		m = k.next(json.RawMessage("{}"))
	}
	if components != limit || conductors != 2*limit+1 || refused != limit {
		t.Errorf("%d components and %d conductors, %d of them told; want %d, %d, %d", components, conductors, refused, limit, 2*limit+1, limit)
	}
	if got := m.String(); got != `end 1 {"error":"Too many actions in the composition."}` {
		t.Errorf("the end: %s", got)
	}
}

func TestComponentNames(t *testing.T) {
	id := Identity{Namespace: "guest"}
	for value, want := range map[string]string{
		`"a"`: "guest/a", `"p/a"`: "guest/p/a", `"/guest/a"`: "guest/a", `"/_/p/a"`: "guest/p/a", `"_/p/a"`: "guest/p/a",
		`"/other/p/a"`: "other/p/a", `"other/p/a"`: "other/p/a", `"/a"`: "", `""`: "", `"/"`: "", `"a/b/c/d"`: "", `"-a"`: "",
		`7`: "", `null`: "", `["a"]`: "", `{"a": 1}`: "", `"a\u002fb"`: "guest/a/b",
	} {
		name, why := id.componentName(json.RawMessage(value))
		if (why != "") != (want == "") || want != "" && fullName(name) != want {
			t.Errorf("%s: %s, %q; want %q", value, fullName(name), why, want)
		}
	}
	if _, why := id.componentName(json.RawMessage(`{"a": 1}`)); why != `Failed to parse action name from json value {"a":1} during composition.` {
		t.Errorf("why: %s", why)
	}
}

// FuzzConductor lets a conductor answer anything, and a component too: every move is
// one of three, its arguments are JSON that can be sent, and the end comes.
func FuzzConductor(f *testing.F) {
	for _, s := range []string{`{}`, `{"action":"x","params":{"a":1},"state":{"b":2}}`, `{"action":["x"],"state":null,"params":null}`, `[1]`, `{"state":{"a":1,"a":2},"action":" "}`, `{"action":"\ud800","params":""}`} {
		f.Add([]byte(s), []byte(`{"a":1e999,"a":[{}]}`))
		f.Add([]byte(s), []byte(`[{"a":1}]`))
	}
	id := Identity{Namespace: "guest"}
	f.Fuzz(func(t *testing.T, answer, result []byte) {
		answer, result = bytes.TrimSpace(answer), bytes.TrimSpace(result)
		if !isResult(answer) || !isResult(result) {
			t.Skip("an invoker lets no such result through")
		}
		k := conducting{account: &account{limit: 2}}
		m := k.next(result)
		for steps := 0; m.end == nil; steps++ {
			if steps > 20 {
				t.Fatalf("%s, %s: no end", answer, result)
			}
			if m.conduct != nil {
				if m.component != nil || !isResult(m.conduct) {
					t.Fatalf("%s, %s: a bad move %s", answer, result, m)
				}
				m = k.conducted(outcome{result: answer})
				continue
			}
			if !isResult(m.args) {
				t.Fatalf("%s, %s: a bad move %s", answer, result, m)
			}
			if _, why := id.componentName(m.component); why != "" {
				m = k.refused(why)
				continue
			}
			k.account.components++
			m = k.next(result)
		}
		if !isResult(m.end.result) {
			t.Errorf("%s, %s: a bad end %s", answer, result, m)
		}
	})
}

func isResult(b []byte) bool {
	return utf8.Valid(b) && json.Valid(b) && (b[0] == '{' || b[0] == '[')
}
