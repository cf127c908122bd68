package invoker

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A fakeReader keeps the names of the events that it takes, up to some number.
type fakeReader struct {
	names []string
	most  int
}

func (f *fakeReader) Event(name string, _ []byte) error {
	if len(f.names) == f.most {
		return errors.New("the caller has left")
	}
	f.names = append(f.names, name)
	return nil
}

func (f *fakeReader) Gone() <-chan struct{} { return nil }

const okEnd = "event: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":2}\n\n"

func TestReadEvents(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		status     int
		body       string
		length     int64
		events     string
		err        error
	}{
		{"items", "data: 1\n\ndata: 2\n\n" + okEnd, 9, 200, `{"items":[1,2]}`, 15, ",,end", nil},
		{"answer", "data: 1\n\nevent: result\ndata: {\"result\":[2]}\n\n" + okEnd, 9, 200, `[2]`, 3, ",result,end", nil},
		{"plain", "data: {\"a\":1}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"items\":1}\n\n", 9, 200, `{"a":1}`, 7, ",end", nil},
		{"failed", "data: 1\n\nevent: error\ndata: {\"error\":2}\n\nevent: end\ndata: {\"outcome\":\"application_error\",\"stream\":true,\"items\":2}\n\n", 9, 200, `{"error":2}`, 11, ",error,end", nil},
		{"crashed", "data: 1\n\nevent: error\ndata: {\"error\":\"x\"}\n\nevent: end\ndata: {\"outcome\":\"crashed\",\"items\":1}\n\n", 9, 502, `{"error":"x"}`, 13, ",error,end", nil},
		{"crashed at once", "event: error\ndata: {\"error\":\"x\"}\n\nevent: end\ndata: {\"outcome\":\"crashed\",\"items\":0}\n\n", 9, 502, `{"error":"x"}`, 13, "error,end", nil},
		{"crashed above the limit", strings.Repeat("data: \"0123456789\"\n\n", 3) + "event: error\ndata: {\"error\":\"x\"}\n\nevent: end\ndata: {\"outcome\":\"crashed\",\"items\":3}\n\n", 9, 502, `{"error":"x"}`, 13, ",,,error,end", nil},
		{"above the limit", strings.Repeat("data: \"0123456789\"\n\n", 3) + okEnd, 9, 200, `"0123456789"`, 36, ",,,end", nil},
		{"above it with what is around", "data: \"0123456789\"\n\n" + okEnd, 9, 200, `{"items":["01234567`, 24, ",end", nil},
		{"cut", "data: 1\n\n", 9, 0, "", 0, "", io.ErrUnexpectedEOF},
		{"cut in an event", "data: 1\n\nevent: e", 9, 0, "", 0, "", io.ErrUnexpectedEOF},
		{"left", "data: 1\n\ndata: 2\n\n" + okEnd, 1, 0, "", 0, "", errUnread},
	} {
		t.Run(c.name, func(t *testing.T) {
			reader := &fakeReader{most: c.most}
			resp := &http.Response{Body: io.NopCloser(strings.NewReader(c.text)), Trailer: http.Header{"Server-Timing": {"x"}}}
			ans, err := readEvents(resp, 19, reader)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			if ans.status != c.status || string(ans.body) != c.body || ans.length != c.length || ans.truncated != (c.length > 19) {
				t.Errorf("%d %s, length %d, truncated %v", ans.status, ans.body, ans.length, ans.truncated)
			}
			if got := strings.Join(reader.names, ","); got != c.events {
				t.Errorf("the events %q, want %q", got, c.events)
			}
			if ans.header.Get("Server-Timing") != "x" {
				t.Error("the trailers are missing")
			}
		})
	}
}
