package conformance

import (
	"encoding/json"
	"strings"
	"testing"
)

// A seen is what the function says about where it is.
type seen struct {
	Env  map[string]string
	Cwd  string
	Home bool // its code is in the working directory
}

// environment runs the function with other fields than OpenWhisk's, and returns what it sees.
func environment(t *testing.T, c *container, more fields) seen {
	t.Helper()
	a := c.runBytes(t, c.runBody(`{"do":"env"}`, more))
	var s seen
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != 200 {
		t.Fatalf("%v %v\n%s", err, a, a.logged())
	}
	return s
}

// variables are those of a run.
func variables() []testCase {
	run := func(name string, do func(*testing.T, *container)) testCase {
		return testCase{name: "variables: " + name, on: ready, do: do}
	}
	return []testCase{
		run("each field of the run", func(t *testing.T, c *container) {
			wantVariables(t, c, fields{"namespace": "ns", "action_name": "/ns/pkg/f", "action_version": "1.2.3", "activation_id": "aid",
				"transaction_id": "tid", "deadline": "4102444800000", "api_key": "u:k"})
		}),
		run("change from run to run", func(t *testing.T, c *container) {
			for _, id := range []string{"one", "two"} {
				wantVariables(t, c, fields{"activation_id": id, "transaction_id": "t" + id})
			}
		}),
		run("go when they are absent", func(t *testing.T, c *container) {
			wantVariables(t, c, fields{"api_key": "secret"})
			wantVariables(t, c, fields{"api_key": nil, "transaction_id": nil})
			wantVariables(t, c, fields{"api_key": "another"})
		}),
		run("any text", func(t *testing.T, c *container) {
			wantVariables(t, c, fields{"activation_id": "one\ntwo", "transaction_id": `"quotes" 'and' \ $HOME`, "namespace": "ü€😀", "api_key": ""})
		}),
		run("a field that nobody knows", func(t *testing.T, c *container) { wantVariables(t, c, fields{"cause": "x", "more": "y"}) }),
		run("a field that is no text", func(t *testing.T, c *container) {
			got := environment(t, c, fields{"number": 7, "object": fields{"a": []any{true, nil}}})
			if got.Env["__OW_NUMBER"] != "7" || got.Env["__OW_OBJECT"] != `{"a":[true,null]}` {
				t.Errorf("they are %q and %q", got.Env["__OW_NUMBER"], got.Env["__OW_OBJECT"])
			}
		}),
		run("the directory, and one for files", func(t *testing.T, c *container) {
			got := environment(t, c, nil)
			if !got.Home || got.Env["TMPDIR"] == "" || got.Env["HOME"] == "" || got.Env["PATH"] == "" {
				t.Errorf("the function sees %+v", got)
			}
		}),
	}
}

// wantVariables runs the function, and looks for each field.
func wantVariables(t *testing.T, c *container, more fields) {
	t.Helper()
	got := environment(t, c, more)
	for name, v := range more {
		name = "__OW_" + strings.ToUpper(name)
		if have, ok := got.Env[name]; v == nil && ok || v != nil && have != v {
			t.Errorf("%s is %q, want %v", name, have, v)
		}
	}
}
