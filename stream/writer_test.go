package stream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestWriter(t *testing.T) {
	fault := Ending{Outcome: "crashed", Error: []byte(`{"error":"it ended"}`)}
	for _, c := range []struct {
		name          string
		items         []string
		end           Ending
		events, lines string
	}{
		{"no item", nil, Ending{Outcome: "ok"}, "event: end\ndata: {\"outcome\":\"ok\",\"items\":0}\n\n", ""},
		{"items", []string{`1`, `{"a":"é"}`}, Ending{Outcome: "ok"},
			"data: 1\n\ndata: {\"a\":\"é\"}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"items\":2}\n\n", "1\n{\"a\":\"é\"}\n"},
		{"line ends", []string{"{\"a\":\r\n1,\n\n\"b\":2}"}, Ending{Outcome: "ok"},
			"data: {\"a\":  1,  \"b\":2}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"items\":1}\n\n", "{\"a\":  1,  \"b\":2}\n"},
		{"answer", []string{`1`, `{"result":{"b":2}}`}, Ending{Outcome: "ok"},
			"data: 1\n\nevent: result\ndata: {\"result\":{\"b\":2}}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"items\":2}\n\n", "1\n{\"result\":{\"b\":2}}\n"},
		{"failed", []string{`1`, `{"error":"no"}`}, Ending{Outcome: "ok"},
			"data: 1\n\nevent: error\ndata: {\"error\":\"no\"}\n\nevent: end\ndata: {\"outcome\":\"application_error\",\"items\":2}\n\n", "1\n{\"error\":\"no\"}\n"},
		{"error in the middle", []string{`{"error":"no"}`, `1`}, Ending{Outcome: "ok"},
			"event: error\ndata: {\"error\":\"no\"}\n\ndata: 1\n\nevent: end\ndata: {\"outcome\":\"ok\",\"items\":2}\n\n", "{\"error\":\"no\"}\n1\n"},
		{"crashed", []string{`1`}, fault,
			"data: 1\n\nevent: error\ndata: {\"error\":\"it ended\"}\n\nevent: end\ndata: {\"outcome\":\"crashed\",\"items\":1}\n\n", "1\n{\"error\":\"it ended\"}\n"},
		{"empty frame", []string{``}, Ending{Outcome: "ok"}, "event: end\ndata: {\"outcome\":\"ok\",\"items\":0}\n\n", ""},
	} {
		for form, want := range map[Form]string{Events: c.events, Lines: c.lines} {
			rec := httptest.NewRecorder()
			w := NewWriter(rec, form, 0)
			for _, item := range c.items {
				if err := w.Item([]byte(item)); err != nil {
					t.Fatal(err)
				}
			}
			w.End(c.end)
			if got := rec.Body.String(); got != want || rec.Code != 200 || rec.Header().Get("Content-Type") != form.ContentType() {
				t.Errorf("%s: %d %s\n%s\nwant\n%s", c.name, rec.Code, rec.Header(), got, want)
			}
		}
	}
}

func TestWriterSendsNothingBeforeAnItem(t *testing.T) {
	rec := httptest.NewRecorder()
	w := NewWriter(rec, Events, 0)
	if w.Begun() || len(rec.Header()) > 0 || rec.Flushed {
		t.Errorf("it has begun: %v", rec.Header())
	}
	if w.Item([]byte(`1`)); !w.Begun() || !rec.Flushed {
		t.Error("the first item has not left at once")
	}
	w.End(Ending{Outcome: "ok"})
	if err := w.Item([]byte(`2`)); err == nil {
		t.Error("an item after the end is taken")
	}
}

// Item n+1 is written when item n was read at the other end, also when that is sooner than
// what gathers items has run out.
func TestItemsLeaveOneByOne(t *testing.T) {
	for form, empty := range map[Form]bool{Events: true, Lines: false} {
		read := make(chan string)
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w := NewWriter(rw, form, 0)
			for item := range read {
				if err := w.Item([]byte(item)); err != nil {
					t.Error(err)
				}
			}
			w.End(Ending{Outcome: "ok"})
		}))
		t.Cleanup(server.Close)
		go func() { read <- `0` }()
		resp, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		in := bufio.NewReader(resp.Body)
		for _, item := range []string{`0`, `1`, `2`, `3`} {
			line, err := in.ReadString('\n')
			if want := item + "\n"; err != nil || strings.TrimPrefix(line, "data: ") != want {
				t.Fatalf("read %q, %v; want %q", line, err, want)
			}
			if empty {
				in.ReadString('\n')
			}
			if item != `3` {
				read <- string(rune(item[0] + 1))
			}
		}
		close(read)
		if _, err := io.ReadAll(in); err != nil {
			t.Error(err)
		}
	}
}

// Who does not read makes Item fail.
func TestReaderThatDoesNotReadIsGivenUp(t *testing.T) {
	for _, over := range []bool{false, true} {
		unread(t, over)
	}
}

// unread has a Writer whose reader takes nothing. over says that the run's time is over.
func unread(t *testing.T, over bool) {
	failed := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := NewWriter(rw, Lines, 50*time.Millisecond)
		if over {
			w = NewWriter(rw, Lines, time.Hour)
			w.Until(time.Now())
		}
		item := []byte(`"` + strings.Repeat("x", 50<<10) + `"`)
		var err error
		for range 10_000 { // 500 MB, more than any socket holds
			if err = w.Item(item); err != nil {
				break
			}
		}
		failed <- err
		w.End(Ending{Outcome: "cancelled"})
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	if err := <-failed; err == nil {
		t.Error("all was written although nobody reads")
	}
}

func TestSilenceIsBrokenByComments(t *testing.T) {
	for form, want := range map[Form]string{Events: "data: 1\n\n:\n\n:\n\n", Lines: "1\n"} {
		rec := httptest.NewRecorder()
		w := NewWriter(rec, form, 0)
		w.Item([]byte(`1`))
		w.tick()
		w.tick()
		if got := rec.Body.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		w.End(Ending{Outcome: "ok"})
		n := rec.Body.Len()
		if w.tick(); rec.Body.Len() != n {
			t.Error("a late tick writes behind the end")
		}
	}
}
