package store

import (
	"fmt"
	"testing"
)

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

// BenchmarkWriting is what a record costs the store, disk and all, when records
// come as fast as they are taken.
func BenchmarkWriting(b *testing.B) {
	for _, kind := range []struct {
		name string
		at   func(testing.TB) place
	}{{"sqlite", newFile}, {"postgres", newPostgres}} {
		b.Run(kind.name, func(b *testing.B) {
			s, logs := kind.at(b).open(b), make([]byte, 700)
			b.ResetTimer()
			for i := range b.N { // the writing of the last counts too
				a := activation(i)
				a.ID, a.Logs = fmt.Sprintf("%032x", uint64(i)*0x9e3779b97f4a7c15), logs
				if err := s.PutActivation(b.Context(), a); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.writer.flush(b.Context(), "guest"); err != nil {
				b.Fatal(err)
			}
		})
	}
}
