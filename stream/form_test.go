package stream

import "testing"

func TestAsked(t *testing.T) {
	for _, c := range []struct {
		accept []string
		want   Form
	}{
		{nil, None},
		{[]string{""}, None},
		{[]string{"*/*"}, None},
		{[]string{"text/*"}, None},
		{[]string{"application/json"}, None},
		{[]string{"text/event-stream"}, Events},
		{[]string{"Text/Event-Stream"}, Events},
		{[]string{"text/event-stream; charset=utf-8"}, Events},
		{[]string{"application/x-ndjson"}, Lines},
		{[]string{"application/json, text/event-stream"}, Events},
		{[]string{"application/json", "text/event-stream"}, Events},
		{[]string{"text/event-stream, */*"}, Events},
		{[]string{"text/event-stream;q=0.5, application/json"}, None},
		{[]string{"text/event-stream;q=0.5, */*;q=0.8"}, None},
		{[]string{"text/event-stream;q=0.5, application/json;q=0.2, */*;q=0.8"}, Events},
		{[]string{"text/event-stream;q=0.5, application/*;q=0.4, */*"}, Events},
		{[]string{"text/event-stream;q=0"}, None},
		{[]string{"text/event-stream;q=0.4, application/x-ndjson ; q=0.6"}, Lines},
		{[]string{"text/event-stream, application/x-ndjson"}, Events},
		{[]string{"text/event-stream;q=nonsense"}, Events},
		{[]string{"text/event-stream;q=7"}, Events},
		{[]string{"text/event-streams"}, None},
		{[]string{",;,=;q,text/event-stream"}, Events},
	} {
		if got := Asked(c.accept); got != c.want {
			t.Errorf("Asked(%q) is %d, want %d", c.accept, got, c.want)
		}
	}
}

// Every run of the path asks.
func TestAskedAllocatesNothing(t *testing.T) {
	for _, accept := range [][]string{nil, {"*/*"}, {"application/json"}} {
		if n := testing.AllocsPerRun(100, func() { Asked(accept) }); n != 0 {
			t.Errorf("%q: %v allocations", accept, n)
		}
	}
}
