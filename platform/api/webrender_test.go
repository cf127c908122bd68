package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/controller"
)

// What a function wrote leaves as it was written, digit by digit.
func TestRenderKeepsBytes(t *testing.T) {
	for _, c := range []struct{ extension, result, want string }{
		{"json", `{"n": 12345678901234567890, "f":1.10}`, `{"n": 12345678901234567890, "f":1.10}`},
		{"http", `{"body": {"n": 12345678901234567890, "f":1.10}}`, `{"n": 12345678901234567890, "f":1.10}`},
		{"http", `{"body": "a\u0000b<>&\u2028"}`, "a\x00b<>&\u2028"},
		{"text", `{"text": 1.10}`, `1.10`},
		{"text", `12345678901234567890`, `12345678901234567890`},
		{"http", `{"headers":{"content-type":"application/octet-stream"},"body":"AP8="}`, "\x00\xff"},
		{"http", `{"headers":{"content-type":"application/octet-stream"},"body":"AP8"}`, "\x00\xff"},
	} {
		ans, err := render(c.extension, json.RawMessage(c.result), nil)
		if err != nil || string(ans.body) != c.want {
			t.Errorf("%s of %s: %v %q, want %q", c.extension, c.result, err, ans.body, c.want)
		}
	}
}

func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		accept, contentType string
		want                bool
	}{
		{"", typeHTML, true},
		{"*/*", typeHTML, true},
		{"*", typeHTML, true},
		{"TEXT/HTML", typeHTML, true},
		{"text/*;q=0.1", typeHTML, true},
		{"text/plain, application/json", typeHTML, false},
		{"text/html;q=0", typeHTML, false},
		{"text/html;q=0, text/*", typeHTML, false},
		{"*/*;q=0, text/html", typeHTML, true},
		{"text/html;level=1;q=nonsense", typeHTML, true},
		{",;,=;q", typeHTML, false},
		{"image/png", "image/png", true},
	} {
		if got := accepts([]string{c.accept}, c.contentType); got != c.want {
			t.Errorf("%q takes %s: %v", c.accept, c.contentType, got)
		}
	}
}

// FuzzRender makes answers of anything that a function may return. Whatever comes of it can be
// sent, and an HTTP client reads no more headers in it than there are.
func FuzzRender(f *testing.F) {
	for _, s := range []string{
		`{"statusCode":302,"headers":{"location":"/x","set-cookie":["a=b","c=d"],"x":1.5},"body":""}`,
		`{"statusCode":"201","headers":{"content-type":"image/png"},"body":"AAAA"}`, `{"headers":{"x":"a\r\nb: c"}}`, `{"headers":{"a b":"c"}}`,
		`{"headers":{"content-length":"7","transfer-encoding":"chunked"},"body":"x"}`, `{"statusCode":1e9}`, `{"statusCode":-0.0}`, `{"statusCode":101,"body":"x"}`,
		`{"headers":{"content-type":[]},"body":"x"}`, `{"headers":{"content-type":"text/html; charset"},"body":"x"}`, `{"headers":{"content-type":"application/json"},"body":"true"}`,
		`{"html":"<p>","svg":"<svg/>","text":[1]}`, `[1]`, `"a"`, `null`, `{"error":{"body":1}}`, ``, `{"headers":null}`, `{"body":{"a":1},"headers":{"content-type":"a/b+json"}}`,
		`{"statusCode":304,"body":"x"}`, `{"headers":{"\u0130":"x"},"body":"\ud800"}`,
	} {
		for extension := range renderers {
			f.Add(extension, s, "text/html;q=0.5, */*")
		}
	}
	f.Fuzz(func(t *testing.T, extension, result, accept string) {
		if renderers[extension] == nil || result != "" && !json.Valid([]byte(result)) {
			return
		}
		ans, err := render(extension, json.RawMessage(strings.TrimSpace(result)), []string{accept})
		if err != nil {
			var refused *controller.Error
			if !errors.As(err, &refused) || refused.Status < 400 || refused.Status > 499 || refused.Message == "" {
				t.Errorf("%s of %s: %v", extension, result, err)
			}
			return
		}
		rec := httptest.NewRecorder()
		rec.Header().Set(headerTransaction, "mine")
		rec.Header().Set(headerActivation, "mine")
		writeWeb(rec, ans)
		h := rec.Header()
		if rec.Code < 200 || rec.Code > 599 || rec.Header().Get(headerTransaction) != "mine" || rec.Header().Get(headerActivation) != "mine" {
			t.Errorf("%s of %s: %d %v", extension, result, rec.Code, h)
		}
		for name, values := range h {
			for _, value := range values {
				if strings.ContainsAny(name+value, "\r\n\x00") || strings.ContainsAny(name, " :") {
					t.Errorf("%s of %s: header %q: %q", extension, result, name, value)
				}
			}
		}
		hasBody := rec.Code != http.StatusNoContent && rec.Code != http.StatusNotModified
		length := h["Content-Length"]
		if hasBody && (len(length) != 1 || length[0] != strconv.Itoa(rec.Body.Len())) || !hasBody && (len(length) > 0 || rec.Body.Len() > 0) {
			t.Errorf("%s of %s: %d, length %v of %d bytes", extension, result, rec.Code, length, rec.Body.Len())
		}
		if h.Get("Transfer-Encoding") != "" || h.Get("Connection") != "" {
			t.Errorf("%s of %s: %v", extension, result, h)
		}
	})
}

// A megabyte of brackets costs what any other megabyte does. It would take minutes if each array were parsed for
// each that it lies in.
func TestNestedHeadersAreReadOnce(t *testing.T) {
	const depth = 9000
	result := `{"headers":{"x":` + strings.Repeat("[", depth) + `"` + strings.Repeat("a", 900_000) + `"` + strings.Repeat("]", depth) + `}}`
	began := time.Now()
	ans, err := render("http", []byte(result), nil)
	if err != nil || len(ans.header.Get("X")) != 900_000 {
		t.Fatalf("%v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	for value, want := range map[string]string{
		`["a",["b",[1.50,true]],[]]`: "[a b 1.50 true]", `12345678901234567890`: "[12345678901234567890]", `[]`: "[]",
	} {
		ans, err := render("http", []byte(`{"headers":{"x":`+value+`}}`), nil)
		if err != nil || fmt.Sprint(ans.header["X"]) != want {
			t.Errorf("%s: %v, %v, want %s", value, ans, err, want)
		}
	}
	for _, value := range []string{`null`, `[null]`, `{}`, `["a",{}]`, `["a\nb"]`} {
		if _, err := render("http", []byte(`{"headers":{"x":`+value+`}}`), nil); err == nil {
			t.Errorf("%s is no header's value", value)
		}
	}
}
