package store

import "testing"

// BenchmarkRecord is what a run costs the store before the disk.
func BenchmarkRecord(b *testing.B) {
	d := int64(3)
	for b.Loop() {
		r := &Record{
			ID: "0123456789abcdef0123456789abcdef", Name: "hello", Namespace: "guest", Subject: "guest", Version: "0.0.1", Path: "hello",
			Start: 1795391443809, End: 1795391443866, Duration: &d, Result: []byte(`{"a":1}`),
			Annotations: []Annotation{{"path", "guest/hello"}, {"waitTime", int64(4)}, {"kind", "python:3"}, {"timeout", false}},
		}
		if _, err := r.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}
