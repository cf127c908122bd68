package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func nothingFinal(string) bool { return false }

// webRequest is a request as it would come from a socket; nil: it is no HTTP.
func webRequest(target, contentType, body string) *request {
	raw := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", target, contentType, len(body), body)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return nil
	}
	return &request{Request: r}
}

// A body's numbers reach the function as they were written.
func TestWebArgsKeepBytes(t *testing.T) {
	const tail = `,"__ow_method":"post","__ow_headers":{"content-length":"55","content-type":"application/json","host":"h"},"__ow_path":"/p"}`
	for _, c := range []struct {
		captured []pair
		want     string
	}{
		{nil, `{"n":12345678901234567890,"f":1.10,  "a":{"n":1e400},"b":"1"`},
		{[]pair{{"id", "7"}}, `{"id":"7","n":12345678901234567890,"f":1.10,  "a":{"n":1e400},"b":"1"`},
		{[]pair{{"a", "path"}, {"b", "path"}}, `{"b":"path","a":"path","f":1.10,"n":12345678901234567890`}, // the path counts
	} {
		q := webRequest("/x?a=query&n=query&b=1", "application/json", ` {"n":12345678901234567890,"f":1.10,  "a":{"n":1e400}} `)
		args, err := q.webArgs(webCall{path: "/p", captured: c.captured}, false, nothingFinal, 1<<20)
		if err != nil || string(args) != c.want+tail {
			t.Errorf("%v\n%s\nwant\n%s", err, args, c.want+tail)
		}
	}
}

// FuzzWebArgs reads anything. The arguments are always a JSON object, in which what is HTTP's is
// ours, or there is an error in words.
func FuzzWebArgs(f *testing.F) {
	for _, s := range []struct{ target, contentType, body string }{
		{"/x?a=1&b=%20", "application/json", `{"a":{"b":[1.0]}}`}, {"/x?__ow_path=1", "", ""}, {"/x", "application/json", `{"__ow_\u0070ath":1}`},
		{"/x?%zz", "application/x-www-form-urlencoded", "a=b&c&=d"}, {"/x", "text/plain", "\xff"}, {"/x", "image/png", "\x00"}, {"/x", "a/b+json", `[1]`}, {"/x", "application/json", `{`},
		{"/x?a=\"&a", ";;", `{}`}, {"/x", "application/json", " { } "}, {"/x?__ow_body=1", "text/plain", "x"},
	} {
		f.Add(s.target, s.contentType, s.body)
	}
	f.Fuzz(func(t *testing.T, target, contentType, body string) {
		q := webRequest(target, contentType, body)
		if q == nil {
			return
		}
		args, err := q.webArgs(webCall{path: "/p", captured: []pair{{"id", "7"}}}, false, nothingFinal, 1<<20)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(args, &got); err != nil {
			t.Fatalf("%q %q %q: %v in %s", target, contentType, body, err, args)
		}
		if string(got[owMethod]) != `"post"` || string(got[owPath]) != `"/p"` || got[owUser] != nil || got[owQuery] != nil || len(got[owHeaders]) == 0 {
			t.Errorf("%q %q %q: %s", target, contentType, body, args)
		}
	})
}
