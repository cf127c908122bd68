package controller

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzArgs holds CheckArgs and merge to encoding/json: what is taken is an object or
// an array; a default is there unless it was overridden; what was given stays byte
// for byte.
func FuzzArgs(f *testing.F) {
	for _, args := range []string{`{}`, ` { } `, `{"a":1e400,"a":2}`, `{"q\u0022":3}`, `[1]`, `null`, `{"a":{"b":"}"}}`, ``} {
		f.Add([]byte(args), "a", `q"`)
	}
	f.Fuzz(func(t *testing.T, body []byte, first, second string) {
		if !utf8.Valid(body) || !utf8.ValidString(first+" "+second) {
			t.Skip("the API refuses it before")
		}
		args, err := CheckArgs(body)
		var given map[string]json.RawMessage
		trimmed := bytes.TrimSpace(body)
		isObject := json.Unmarshal(trimmed, &given) == nil && given != nil
		var list []json.RawMessage
		isList := json.Unmarshal(trimmed, &list) == nil && list != nil
		if (err == nil) != (isObject || isList || len(trimmed) == 0) {
			t.Fatalf("%q: %v", body, err)
		}
		if err != nil {
			return
		}
		defaults := Parameters{{Key: first, Value: json.RawMessage(`{"x":1e400}`)}}
		if second != first {
			defaults = append(defaults, Parameter{Key: second, Value: json.RawMessage("2")})
		}
		merged, err := merge(defaults, args)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if isList {
			if !bytes.Equal(merged, trimmed) {
				t.Errorf("%q became %q", body, merged)
			}
			return
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(merged, &got); err != nil {
			t.Fatalf("%q became %q: %v", body, merged, err)
		}
		for _, p := range defaults {
			want, overridden := given[p.Key]
			if !overridden {
				want = p.Value
				given = withKey(given, p)
			}
			if !bytes.Equal(got[p.Key], want) {
				t.Errorf("%q became %q: %q is %q, want %q", body, merged, p.Key, got[p.Key], want)
			}
		}
		if len(got) != len(given) || len(trimmed) > 0 && !bytes.HasSuffix(merged, trimmed[1:]) {
			t.Errorf("%q became %q", body, merged)
		}
	})
}

func withKey(m map[string]json.RawMessage, p Parameter) map[string]json.RawMessage {
	if m == nil {
		m = map[string]json.RawMessage{}
	}
	m[p.Key] = p.Value
	return m
}

// FuzzReference checks that a name that was understood is whole, and means the same when
// it is written out.
func FuzzReference(f *testing.F) {
	for _, text := range []string{"a", "/_/a", "/guest/p/a", "p/a", "/other/a", "/_/a/b/c", "a b.c@d-e&f", "//", "a\n", "/guest/\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id := Identity{Namespace: "guest"}
		n, err := id.reference(text)
		if err != nil {
			return
		}
		if checkName(n.Namespace) != nil || n.Name == "" || !utf8.ValidString(fullName(n)) || len(n.Name) > maxName || len(n.Package) > maxName {
			t.Errorf("%q is %+v", text, n)
		}
		again, err := id.reference("/" + fullName(n))
		if err != nil || again != n {
			t.Errorf("%q is %+v, written out %+v, %v", text, n, again, err)
		}
	})
}
