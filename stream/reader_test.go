package stream

import (
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a Writer writes, a Reader reads, and another Writer passes on unchanged.
func TestReaderReadsWhatAWriterWrites(t *testing.T) {
	from, to := httptest.NewRecorder(), httptest.NewRecorder()
	w := NewWriter(from, Events, 0)
	for _, item := range []string{`1`, `{"a":"b: c"}`, `{"result":{}}`, `"` + strings.Repeat("x", 100_000) + `"`, `{"error":"no"}`} {
		w.Item([]byte(item))
	}
	w.tick()
	w.tick() // a comment
	w.End(Ending{Outcome: "ok", Stream: true})
	whole := from.Body.String()
	r, pass := NewReader(from.Body, 1<<20), NewWriter(to, Events, 0)
	var names []string
	for {
		name, data, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		if err := pass.Event(name, data); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(names, ","); got != ",,result,,error,end" {
		t.Errorf("the events are %s", got)
	}
	if to.Body.String() != strings.Replace(whole, ":\n\n", "", 1) {
		t.Errorf("%.300s\nbecame\n%.300s", whole, to.Body.String())
	}
	if err := pass.Event("", []byte(`1`)); err == nil {
		t.Error("an event after the end is taken")
	}
}

func TestReaderRefuses(t *testing.T) {
	for text, want := range map[string]error{
		"":                       io.EOF,
		":\n\n\n":                io.EOF,
		"data: 1":                io.ErrUnexpectedEOF,
		"data: 1\n":              io.EOF, // without the event's end it is none
		"data: 1\ndata: 2\n\n":   errOdd,
		"<html>\n\n":             errOdd,
		"data: " + long() + "\n": errTooLong,
	} {
		if name, data, err := NewReader(strings.NewReader(text), 10_000).Next(); !errors.Is(err, want) {
			t.Errorf("%.30q: %q, %.30q, %v; want %v", text, name, data, err, want)
		}
	}
}

func long() string { return strings.Repeat("x", 30_000) }

func FuzzReader(f *testing.F) {
	f.Add("event: end\ndata: {}\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := NewReader(strings.NewReader(text), 1000)
		for range len(text) + 1 {
			if _, _, err := r.Next(); err != nil {
				return
			}
		}
		t.Error(fmt.Sprint("more events than bytes: ", text))
	})
}
