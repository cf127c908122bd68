package controller

import (
	"encoding/json"
	"testing"
)

func TestMerge(t *testing.T) {
	p := func(key, value string) Parameter { return Parameter{Key: key, Value: json.RawMessage(value)} }
	defaults := Parameters{p("a", "1.0"), p(`q"`, `"x"`)}
	for args, want := range map[string]string{
		`{}`:                  `{"a":1.0,"q\"":"x"}`,
		`{ }`:                 `{"a":1.0,"q\"":"x" }`,
		`{"b":1e400}`:         `{"a":1.0,"q\"":"x","b":1e400}`,
		`{"a":2}`:             `{"q\"":"x","a":2}`,
		`{"a":2,"q\u0022":3}`: `{"a":2,"q\u0022":3}`,
		`[1]`:                 `[1]`,
	} {
		got, err := merge(defaults, json.RawMessage(args))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", args, got, err, want)
		}
	}
}

func TestIsBinary(t *testing.T) {
	for code, want := range map[string]bool{
		"": false, "UEsDBA==": true, " UEsDBA==\n": true, "UEsDBAA=": true, "UEsD": true, "UEs=DBAA": false,
		"def main(a): return a": false, "====": false, "A===": false, "UEsDBA": false, "UEs DBA=": false,
	} {
		if got := isBinary(code); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}

func TestNextVersion(t *testing.T) {
	for _, c := range []struct{ old, wanted, next string }{
		{"", "", "0.0.1"}, {"0.0.9", "", "0.0.10"}, {"1.2.3", "2.0", "2.0.0"}, {"1.2.3", "x", ""}, {"", "1.2.3.4", ""},
	} {
		got, err := nextVersion(c.old, c.wanted)
		if got != c.next || (err != nil) != (c.next == "") {
			t.Errorf("%q, %q: %q, %v; want %q", c.old, c.wanted, got, err, c.next)
		}
	}
}

func TestNames(t *testing.T) {
	id := Identity{Namespace: "guest"}
	for text, want := range map[string]string{
		"a": "guest/a", "/_/a": "guest/a", "/guest/p/a": "guest/p/a", "p/a": "guest/p/a",
		"/other/a": "other/a", "other/p/a": "other/p/a", "//_//a": "guest/a", "/a": "", "/_/a/b/c": "", "/_/": "", "a b.c@d-e&f": "guest/a b.c@d-e&f", "-a": "", "a ": "", "a\n": "",
	} {
		n, err := id.reference(text)
		if (err != nil) != (want == "") || err == nil && fullName(n) != want {
			t.Errorf("%q: %+v, %v; want %q", text, n, err, want)
		}
	}
}
