package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// png is the smallest picture that browsers show.
func png(t *testing.T) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	htmlType = "text/html; charset=UTF-8"
	textType = "text/plain; charset=UTF-8"
)

// What a result means in HTTP.
func TestWebAnswers(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.putWeb()
	picture := base64.StdEncoding.EncodeToString(png(t))
	for _, c := range []struct {
		name, extension, answer string
		status                  int
		contentType, body       string // for an error, its text
		headers                 string // "Name: value" lines
	}{
		{"text is HTML", ".http", `{"body":"<b>hi</b>"}`, 200, htmlType, "<b>hi</b>", ""},
		{"no extension", "", `{"body":"hi"}`, 200, htmlType, "hi", ""},
		{"status", ".http", `{"statusCode":418,"body":"teapot"}`, 418, htmlType, "teapot", ""},
		{"status as text", ".http", `{"statusCode":"201","body":"made"}`, 201, htmlType, "made", ""},
		{"status 404.0", ".http", `{"statusCode":404.0,"body":"none"}`, 404, htmlType, "none", ""},
		{"no status of an answer", ".http", `{"statusCode":100,"body":"x"}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"no status at all", ".http", `{"statusCode":"fine","body":"x"}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"half a status", ".http", `{"statusCode":200.5}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"status 600", ".http", `{"statusCode":600}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"redirect", ".http", `{"statusCode":302,"headers":{"location":"/elsewhere?a=b"}}`, 302, "", "", "Location: /elsewhere?a=b"},
		{"nothing", ".http", `{}`, 204, "", "", ""},
		{"empty body", ".http", `{"body":""}`, 204, "", "", ""},
		{"null body", ".http", `{"body":null}`, 204, "", "", ""},
		{"empty body, status", ".http", `{"statusCode":202}`, 202, "", "", ""},
		{"no body with its type", ".http", `{"statusCode":200,"headers":{"content-type":"image/png"}}`, 200, "", "", ""},
		{"a body that 204 cannot have", ".http", `{"statusCode":204,"body":"lost"}`, 204, "", "", ""},
		{"neither of the three", ".http", `{"greeting":"hi"}`, 204, "", "", ""},
		{"headers", ".http", `{"headers":{"x-n":7,"x-b":true,"x-l":["a","b"],"x-f":1.5},"body":"x"}`, 200, htmlType, "x", "X-N: 7\nX-B: true\nX-L: a\nX-L: b\nX-F: 1.5"},
		{"cookies", ".http", `{"headers":{"Set-Cookie":["a=b; Path=/","c=d"]},"body":"x"}`, 200, htmlType, "x", "Set-Cookie: a=b; Path=/\nSet-Cookie: c=d"},
		{"a header that is an object", ".http", `{"headers":{"x":{}},"body":"x"}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"headers that are none", ".http", `{"headers":["x"],"body":"x"}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"a header with a line end", ".http", `{"headers":{"x":"a\r\nSet-Cookie: evil=1"},"body":"x"}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"a header's name with a line end", ".http", `{"headers":{"x: 1\r\nSet-Cookie":"evil=1"},"body":"x"}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"headers of the connection", ".http", `{"headers":{"Content-Length":"1","Transfer-Encoding":"chunked","Connection":"close"},"body":"four"}`, 200, htmlType, "four", "Content-Length: 4"},
		{"JSON", ".http", `{"body":{"n":1234567890123456,"f":1.25}}`, 200, "application/json", `{"n":1234567890123456,"f":1.25}`, ""},
		{"JSON array", ".http", `{"body":[1,"two"]}`, 200, "application/json", `[1,"two"]`, ""},
		{"JSON number", ".http", `{"body":3}`, 200, "application/json", `3`, ""},
		{"JSON of another name", ".http", `{"headers":{"content-type":"application/hal+json"},"body":{"a":1}}`, 200, "application/hal+json", `{"a":1}`, ""},
		{"JSON that is not JSON", ".http", `{"headers":{"content-type":"text/html"},"body":{"a":1}}`, 400, "", "Response type in header did not match generated content type.", ""},
		{"JSON as text", ".http", `{"headers":{"content-type":"application/json"},"body":"{\"a\":1}"}`, 200, "application/json", `{"a":1}`, ""},
		{"JSON as base64", ".http", `{"headers":{"content-type":"application/json"},"body":"eyJhIjoxfQ=="}`, 200, "application/json", `{"a":1}`, ""},
		{"text that says it is JSON", ".http", `{"headers":{"content-type":"application/json"},"body":"hello world"}`, 200, "application/json", `hello world`, ""},
		{"the JSON word true", ".http", `{"headers":{"content-type":"application/json"},"body":"true"}`, 200, "application/json", `true`, ""},
		{"plain text", ".http", `{"headers":{"Content-Type":"text/plain"},"body":"eyJhIjoxfQ=="}`, 200, textType, "eyJhIjoxfQ==", ""},
		{"a charset of its own", ".http", `{"headers":{"Content-Type":"text/plain; charset=us-ascii"},"body":"x"}`, 200, "text/plain; charset=us-ascii", "x", ""},
		{"a picture", ".http", `{"headers":{"Content-Type":"image/png"},"body":"` + picture + `"}`, 200, "image/png", string(png(t)), ""},
		{"a picture that is none", ".http", `{"headers":{"Content-Type":"image/png"},"body":"no base64!"}`, 400, "", "Response type in header did not match generated content type.", ""},
		{"SVG as text", ".http", `{"headers":{"Content-Type":"image/svg+xml"},"body":"<svg/>"}`, 200, "image/svg+xml", "<svg/>", ""},
		{"an unknown type", ".http", `{"headers":{"Content-Type":"xyzbar"},"body":"x"}`, 400, "", "Response did not specify a known content-type.", ""},
		{"not an object", ".http", `[1]`, 400, "", "Response is not valid 'message/http'.", ""},
		{"an application error", ".http", `{"error":{"statusCode":409,"headers":{"x-why":"twice"},"body":"conflict"}}`, 409, htmlType, "conflict", "X-Why: twice"},
		{"an application error in words", ".http", `{"error":"sorry"}`, 400, "", "Response is not valid 'message/http'.", ""},
		{"json", ".json", `{"a":1.5,"body":"kept"}`, 200, "application/json", `{"a":1.5,"body":"kept"}`, ""},
		{"json array", ".json", `[1,2]`, 200, "application/json", `[1,2]`, ""},
		{"json error in words", ".json", `{"error":"sorry"}`, 400, "", "Response is not valid 'application/json'.", ""},
		{"json error", ".json", `{"error":{"why":1}}`, 200, "application/json", `{"why":1}`, ""},
		{"json with a path", ".json/a/b", `{"a":{"b":1}}`, 200, "application/json", `{"a":{"b":1}}`, ""},
		{"html", ".html", `{"html":"<p>"}`, 200, htmlType, "<p>", ""},
		{"html from body", ".html", `{"html":"<p>","body":"<b>"}`, 200, htmlType, "<b>", ""},
		{"html of a number", ".html", `{"html":1}`, 400, "", "Response is not valid 'text/html'.", ""},
		{"html error in words", ".html", `{"error":"<i>sorry</i>"}`, 200, htmlType, "<i>sorry</i>", ""},
		{"svg", ".svg", `{"svg":"<svg/>"}`, 200, "image/svg+xml", "<svg/>", ""},
		{"svg missing", ".svg", `{"html":"x"}`, 400, "", "Response is not valid 'image/svg+xml'.", ""},
		{"text", ".text", `{"text":"hi"}`, 200, textType, "hi", ""},
		{"text of a number", ".text", `{"text":1.25}`, 200, textType, "1.25", ""},
		{"text of nothing", ".text", `{"text":null}`, 200, textType, "null", ""},
		{"text of an object", ".text", `{"text":{"a":[1]}}`, 200, textType, "{\n  \"a\": [\n    1\n  ]\n}", ""},
		{"text missing", ".text", `{"html":"x"}`, 404, "", "Response does not include requested property.", ""},
		{"a developer error", ".http", `"a word"`, 400, "", "There was an error processing your request.", ""},
	} {
		for _, function := range []string{"answer", "answer-js"} {
			t.Run(c.name+"/"+function, func(t *testing.T) {
				got := s.web("GET", "/guest/default/"+function+c.extension+"?answer="+url.QueryEscape(c.answer), "")
				if got.header.Get("X-Openwhisk-Activation-Id") == "" || got.header.Get("X-Request-ID") == "" {
					t.Errorf("the ids are missing: %v", got.header)
				}
				body, contentType := got.body, c.contentType
				if c.status >= 400 && contentType == "" && c.body != "" {
					body, contentType = got.failure(t), "application/json"
				}
				if got.status != c.status || got.header.Get("Content-Type") != contentType || !sameJSON(body, c.body) {
					t.Errorf("%d %q %q\nwant %d %q %q", got.status, got.header.Get("Content-Type"), body, c.status, contentType, c.body)
				}
				want := map[string][]string{}
				for line := range strings.SplitSeq(c.headers, "\n") {
					if name, value, ok := strings.Cut(line, ": "); ok {
						want[name] = append(want[name], value)
					}
				}
				for name, values := range want {
					if fmt.Sprint(got.header[name]) != fmt.Sprint(values) {
						t.Errorf("%s: %q, want %q", name, got.header[name], values)
					}
				}
				if strings.Contains(fmt.Sprint(got.header), "evil") {
					t.Errorf("a header was smuggled in: %v", got.header)
				}
			})
		}
	}
}

// sameJSON reports whether two texts are the same, or the same but for a language's spaces.
func sameJSON(a, b string) bool {
	var x, y bytes.Buffer
	return a == b || json.Compact(&x, []byte(a)) == nil && json.Compact(&y, []byte(b)) == nil && x.String() == y.String()
}

// A client that knows cookies and redirects finds its way.
func TestWebCookiesAndRedirects(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.put("login", action{kind: "python:3", annotations: isWeb, code: `
def main(args):
    return {"statusCode": 303, "headers": {"location": "../default/home.http", "set-cookie": ["user=Ada; Path=/; HttpOnly", "theme=dark; Path=/"]}}
`})
	s.put("home", action{kind: "nodejs:20", annotations: isWeb, code: `
function main(args) { return { body: args.__ow_method + " " + args.__ow_headers.cookie } }
`})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	resp, err := client.PostForm(s.api+"/api/v1/web/guest/default/login", url.Values{"name": {"Ada"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(resp.Body)
	if resp.StatusCode != 200 || b.String() != "get user=Ada; theme=dark" && b.String() != "get theme=dark; user=Ada" {
		t.Errorf("%d %s", resp.StatusCode, b.String())
	}
}
