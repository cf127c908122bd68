package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestReadReply(t *testing.T) {
	many := strings.Repeat("X-Filler: "+strings.Repeat("x", 1000)+"\r\n", 100)
	for _, test := range []struct {
		name, text, body string
		status           int
		last, whole      bool
		err              error
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "ab", 200, false, true, nil},
		{"no body", "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", "", 200, false, true, nil},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", 200, false, true, nil},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", "", 204, false, true, nil},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc", 200, false, true, nil},
		{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", "a", 200, false, false, nil},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nabc", "abc", 200, false, false, nil},
		{"close", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\na", "a", 200, true, true, nil},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", 200, true, true, nil},
		{"more than asked for", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1", "a", 200, false, false, nil},
		{"provisional", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", 200, false, true, nil},
		{"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "a", 200, false, true, nil},

		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "", 0, false, false, errOdd},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "", 0, false, false, errOdd},
		{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", "", 0, false, false, errOdd},
		{"huge length", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\na", "", 0, false, false, errOdd},
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "", 0, false, false, errOdd},
		{"gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "", 0, false, false, errOdd},
		{"chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", 0, false, false, errOdd},
		{"switching", "HTTP/1.1 101 Switching\r\n\r\n", "", 0, false, false, errOdd},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "", 0, false, false, errOdd},
		{"no number", "HTTP/1.1 2x0 OK\r\n\r\n", "", 0, false, false, errOdd},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", "", 0, false, false, errOdd},
		{"only a line feed", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "", 0, false, false, errOdd},
		{"folded", "HTTP/1.1 200 OK\r\nX: a\r\n b: c\r\n\r\n", "", 0, false, false, errOdd},
		{"space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", "", 0, false, false, errOdd},
		{"no colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", "", 0, false, false, errOdd},
		{"large line", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", bufferSize) + "\r\n\r\n", "", 0, false, false, errHeadSize},
		{"large head", "HTTP/1.1 200 OK\r\n" + many + "\r\n", "", 0, false, false, errHeadSize},
		{"endless provisional", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHead/20), "", 0, false, false, errHeadSize},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Le", "", 0, false, false, io.EOF},
		{"nothing", "", "", 0, false, false, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := bufio.NewReaderSize(strings.NewReader(test.text), bufferSize)
			r, err := readReply(in)
			if !errors.Is(err, test.err) || err == nil && (r.status != test.status || r.last != test.last) {
				t.Fatalf("%+v, %v", r, err)
			}
			if err != nil {
				return
			}
			b := newReplyBody(in, &r)
			body, err := io.ReadAll(&b)
			if whole := b.finish(); err != nil || string(body) != test.body || whole != test.whole {
				t.Errorf("%q, %v, whole: %v", body, err, whole)
			}
		})
	}
}

// FuzzReadReply checks that whatever this reader takes, net/http reads alike.
func FuzzReadReply(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"))
	f.Add([]byte("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\nWhiskaway-Started: no\r\n\r\n2\r\nab\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nab"))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := bufio.NewReaderSize(strings.NewReader(string(text)), bufferSize)
		budget := maxHead
		r, err := readHead(in, &budget)
		if err != nil || r.status < 200 {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(text))), &http.Request{Method: http.MethodPost})
		if err != nil {
			return // stricter still
		}
		b := newReplyBody(in, &r)
		got, gotErr := io.ReadAll(&b)
		want, wantErr := io.ReadAll(resp.Body)
		if r.status != resp.StatusCode || string(got) != string(want) || (gotErr == nil) != (wantErr == nil) && b.finish() {
			t.Errorf("%q: read %d %q %v, net/http %d %q %v", text, r.status, got, gotErr, resp.StatusCode, want, wantErr)
		}
		if r.header != nil && fmt.Sprint(r.header[headerStarted]) != fmt.Sprint(resp.Header[headerStarted]) {
			t.Errorf("%q: %v, net/http %v", text, r.header, resp.Header)
		}
	})
}
