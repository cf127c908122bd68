package store

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRecord checks that a record is JSON with the texts that it was made of, and
// that its parts join to the whole of it.
func FuzzRecord(f *testing.F) {
	f.Add("id", "hello", "guest", "a log <&>\u2028", "key", "value", int64(5), 0)
	f.Add("\"", "\\", "\x00\x1f", "\n", "\x7f", "", int64(-1), 3)
	f.Fuzz(func(t *testing.T, id, name, namespace, line, key, value string, start int64, status int) {
		if !utf8.ValidString(strings.Join([]string{id, name, namespace, line, key, value}, " ")) {
			t.Skip("nothing that is not UTF-8 comes so far")
		}
		r := &Record{ID: id, Name: name, Namespace: namespace, Subject: value, Start: start, Status: status & 3, Logs: []string{line}, Result: json.RawMessage(`{"n":1e400}`)}
		r.Annotations = append(r.Annotations, Annotation{Key: key, Value: value}, Annotation{Key: "n", Value: start})
		a, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			ActivationID, Name, Namespace, Subject string
			Start                                  int64
			StatusCode                             int
			Logs                                   []string
			Response                               struct{ Result json.RawMessage }
			Annotations                            []struct {
				Key   string
				Value any
			}
		}
		if err := json.Unmarshal(a.Document(), &got); err != nil {
			t.Fatalf("%q: %v", a.Document(), err)
		}
		if got.ActivationID != id || got.Name != name || got.Namespace != namespace || got.Subject != value || got.Start != start || len(got.Logs) != 1 || got.Logs[0] != line {
			t.Errorf("%+v became %+v", r, got)
		}
		if string(got.Response.Result) != string(r.Result) {
			t.Errorf("the result became %s", got.Response.Result)
		}
		if len(got.Annotations) != 2 || got.Annotations[0].Key != key || got.Annotations[0].Value != value {
			t.Errorf("the annotation %q: %q became %+v", key, value, got.Annotations)
		}
	})
}
