package api

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// What comes of a run's events for who asked for a stream: a stream, or nothing, and then the result
// is rendered as ever.
func TestWebReading(t *testing.T) {
	const (
		plainEnd  = `end {"outcome":"ok","items":1}`
		streamEnd = `end {"outcome":"ok","stream":true,"items":1}`
	)
	ok := &bus.Completed{Status: store.StatusSuccess, Result: []byte(`{}`)}
	failed := &bus.Completed{Status: store.StatusDeveloperError, Result: []byte(`{"error":"x"}`)}
	for _, c := range []struct {
		name, extension string
		events          string // "name data", one a line; "stays" asks whether the wait goes on
		done            *bus.Completed
		want            string // empty: no stream
	}{
		{"items", "http", " 1\n 2\n" + streamEnd, ok, "data: 1\n\ndata: 2\n\nevent: end"},
		{"a page", "http", ` {"body":"x"}` + "\n" + plainEnd, ok, ""},
		{"an item that looks like a page", "http", ` {"body":"x"}` + "\n" + streamEnd, ok, "data: {\"body\":\"x\"}\n\nevent: end"},
		{"two such", "http", ` {"statusCode":1}` + "\n" + ` {"headers":2}` + "\n" + streamEnd, ok, "data: {\"statusCode\":1}\n\ndata: {\"headers\":2}\n\nevent: end"},
		{"one that is late", "http", ` {"body":"x"}` + "\nstays\n 2\n" + streamEnd, ok, "data: {\"body\":\"x\"}\n\ndata: 2\n\nevent: end"},
		{"another's mark", "http", ` {"html":"x"}` + "\n" + plainEnd, ok, "data: {\"html\":\"x\"}\n\nevent: end"},
		{"html", "html", ` {"html":"x"}` + "\n" + plainEnd, ok, ""},
		{"json has no marks", "json", ` {"body":"x"}` + "\n" + plainEnd, ok, "data: {\"body\":\"x\"}\n\nevent: end"},
		{"an error", "json", `error {"error":{"a":1}}` + "\n" + plainEnd, ok, ""},
		{"a stream's error", "http", `error {"error":"x"}` + "\n" + strings.Replace(streamEnd, "ok", "application_error", 1), ok, "event: error\ndata: {\"error\":\"x\"}\n\nevent: end"},
		{"nothing of a stream", "http", strings.Replace(streamEnd, "1", "0", 1), ok, "event: end"},
		{"nothing", "http", "", ok, ""},
		{"nothing, failed", "http", "", failed, ""},
		{"held, failed", "http", ` {"body":"x"}`, failed, ""},
		{"begun, failed", "http", " 1", failed, "data: 1\n\nevent: error"},
		{"held, and nobody knows", "http", ` {"body":"x"}`, nil, ""},
		{"begun, and nobody knows", "http", " 1", nil, "data: 1\n\nevent: error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			req := httptest.NewRequest("GET", "/", nil)
			req.Header.Set("Accept", "text/event-stream")
			r := (&request{Request: req, w: rec}).webReading(c.extension)
			var invoker sync.WaitGroup
			invoker.Go(func() {
				for line := range strings.SplitSeq(c.events, "\n") {
					name, data, _ := strings.Cut(line, " ")
					switch {
					case line == "":
					case line == "stays":
						if !r.Stays() {
							t.Error("the reader does not stay")
						}
					default:
						if err := r.Event(name, []byte(data)); err != nil {
							t.Errorf("%s: %v", line, err)
						}
					}
				}
			})
			invoker.Wait()
			isStream := r.endStream(c.done)
			r.leave()
			if got := rec.Body.String(); isStream != (c.want != "") || !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%v %q, want %q", isStream, got, c.want)
			}
			if r.Event("", []byte("3")) == nil {
				t.Error("what comes after the end is taken")
			}
		})
	}
}
