package openserverless

import (
	"encoding/json"
	"testing"
)

func TestMembers(t *testing.T) {
	text := " {\"a\" : 1 ,\n\"b\":{\"x\":[1,{\"y\":\"}\"}]}, \"\\u0063\":\"q\\\"}\\\\\" , \"d\":-1.5e3,\"e\":null,\"f\":[]\t} \n"
	got, err := members([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ name, text, value string }{
		{"a", `"a" : 1`, "1"}, {"b", `"b":{"x":[1,{"y":"}"}]}`, `{"x":[1,{"y":"}"}]}`}, {"c", `"\u0063":"q\"}\\"`, `"q\"}\\"`},
		{"d", `"d":-1.5e3`, "-1.5e3"}, {"e", `"e":null`, "null"}, {"f", `"f":[]`, "[]"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d fields, want %d", len(got), len(want))
	}
	for i, w := range want {
		if got[i].name != w.name || string(got[i].text) != w.text || string(got[i].value) != w.value {
			t.Errorf("got %q %q %q, want %q", got[i].name, got[i].text, got[i].value, w)
		}
	}
	if none, err := members([]byte("{ }")); err != nil || len(none) != 0 {
		t.Errorf("an empty object: %v %v", none, err)
	}
	for _, bad := range []string{"", " ", "[]", "null", "1", `"a"`, "{", `{"a":1}}`, `{"a":1,}`, `{"a"}`, `{} {}`, "\ufeff{}"} {
		if _, err := members([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// FuzzMembers holds members to encoding/json: it takes the same objects, finds
// the same values, and what it cut can be put together again.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"a":1}`, ` { "a" : [1 , {"b":"]"}] , "a":2 } `, `{"\"":"\\"}`, `{"x":"\ud83d\ude00","y":true}`, `[{}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		valid := json.Unmarshal(text, &want) == nil && want != nil
		got, err := members(text)
		if valid != (err == nil) {
			t.Fatalf("%q: encoding/json takes it: %v, we: %v", text, valid, err)
		}
		var fields [][]byte
		last := map[string]string{}
		for _, m := range got {
			fields = append(fields, m.text)
			last[m.name] = string(m.value)
		}
		if len(last) != len(want) {
			t.Fatalf("%q: %d names, want %d", text, len(last), len(want))
		}
		for name, value := range want {
			if last[name] != string(value) {
				t.Errorf("%q: %q is %q, want %q", text, name, last[name], value)
			}
		}
		if again := compose(fields); valid && !json.Valid(again) {
			t.Errorf("%q: put together again as %q", text, again)
		}
	})
}
