package store

import "testing"

type appended struct{}

func (appended) AppendJSON(b []byte) []byte { return append(b, `{"x":1}`...) }

// The head is what encoding/json would make of the record.
func TestHeadIsTheRecordAsJSON(t *testing.T) {
	zero, some := int64(0), int64(17)
	for _, r := range []*Record{
		{Annotations: []Annotation{}},
		{ID: "0a", Name: "hello", Namespace: "guest", Subject: "guest", Version: "0.0.1", Start: 1795391443809, End: 1795391443866, Duration: &zero,
			Annotations: []Annotation{{"path", "guest/p k/a<b>"}, {"waitTime", int64(-4)}, {"timeout", true}, {"limits", map[string]int{"logs": 10}}}},
		{ID: "1b", Cause: "0a", Duration: &some, Publish: true, Status: 2, Name: "a\"b\\c\n\x7f\xffé\u2028", Annotations: []Annotation{{"", nil}}},
	} {
		want, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.head(); err != nil || string(got) != string(want) {
			t.Errorf("%s, %v; want\n%s", got, err, want)
		}
	}
	r := Record{Annotations: []Annotation{{"a", appended{}}}}
	if a, err := r.Encode(); err != nil || string(a.Head[:48]) != `{"annotations":[{"key":"a","value":{"x":1}}],"ac` {
		t.Errorf("%s, %v", a.Head, err)
	}
	r = Record{Annotations: []Annotation{{"a", func() {}}}}
	if _, err := r.Encode(); err == nil {
		t.Error("a value that is no JSON was encoded")
	}
}
