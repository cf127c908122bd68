package test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"
)

func (s *standalone) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(s.auth))
}

// Who may call, from where, and by which name.
func TestWebActionAccess(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.putWeb()
	t.Run("who", func(t *testing.T) { testWebCallers(t, s) })
	t.Run("origins", func(t *testing.T) { testWebOrigins(t, s) })
	t.Run("accept", func(t *testing.T) { testWebAccept(t, s) })
	t.Run("bindings", func(t *testing.T) { testWebBindings(t, s) })
	t.Run("sequences", func(t *testing.T) { testWebSequences(t, s) })
}

// Anybody, who has a key, who knows a word.
func testWebCallers(t *testing.T, s *standalone) {
	put := func(name, value string) {
		s.put(name, action{kind: "python:3", code: webEcho, annotations: `[{"key":"web-export","value":true},{"key":"require-whisk-auth","value":` + value + `}]`})
	}
	put("any-key", "true")
	put("word", `"open sesame"`)
	put("number", "1234567890123456789")
	put("none", "false")
	put("odd", `{"a":1}`)
	s.put("options", action{kind: "python:3", annotations: `[{"key":"web-export","value":true},{"key":"require-whisk-auth","value":true},{"key":"web-custom-options","value":true}]`,
		code: "def main(args):\n    return {'headers': {'Access-Control-Allow-Methods': 'OPTIONS, GET', 'Access-Control-Allow-Origin': 'https://shop.example'}, 'statusCode': 200}\n"})
	bad := "Basic " + base64.StdEncoding.EncodeToString([]byte("a:b"))
	for _, c := range []struct {
		name, header, value string
		status              int
		user                any
	}{
		{"echo", "", "", 200, nil},
		{"echo", "Authorization", s.basic(), 200, "guest"},
		{"echo", "Authorization", bad, 200, nil},
		{"echo", "Authorization", "Bearer of-its-own", 200, nil},
		{"any-key", "", "", 401, nil},
		{"any-key", "Authorization", bad, 401, nil},
		{"any-key", "Authorization", s.basic(), 200, "guest"},
		{"any-key", "X-Require-Whisk-Auth", "true", 401, nil},
		{"word", "", "", 401, nil},
		{"word", "X-Require-Whisk-Auth", "open sesame!", 401, nil},
		{"word", "X-Require-Whisk-Auth", "open sesame", 200, nil},
		{"word", "Authorization", s.basic(), 401, nil},
		{"number", "X-Require-Whisk-Auth", "1234567890123456789", 200, nil},
		{"number", "X-Require-Whisk-Auth", "1234567890123456788", 401, nil},
		{"none", "X-Require-Whisk-Auth", "false", 401, nil},
		{"none", "Authorization", s.basic(), 401, nil},
		{"odd", "X-Require-Whisk-Auth", `{"a":1}`, 401, nil},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{c.header, c.value}
		}
		got := s.web("GET", "/guest/default/"+c.name, "", headers...)
		if got.status != c.status {
			t.Errorf("%s, %s %s: %d %.200s", c.name, c.header, c.value, got.status, got.body)
			continue
		}
		if got.status == 401 {
			if text := got.failure(t); text != "Authentication is possible but has failed or not yet been provided." || got.header.Get("Www-Authenticate") != "" {
				t.Errorf("%s: %q %v", c.name, text, got.header)
			}
			continue
		}
		if user := got.args(t)["__ow_user"]; user != c.user {
			t.Errorf("%s, %s %s: the user is %v", c.name, c.header, c.value, user)
		}
	}
	// Browsers ask with OPTIONS first, and show no key then.
	if got := s.web("OPTIONS", "/guest/default/options", ""); got.status != 200 || got.header.Get("Access-Control-Allow-Methods") != "OPTIONS, GET" {
		t.Errorf("custom options: %+v", got)
	}
	if got := s.web("GET", "/guest/default/options", ""); got.status != 401 || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("custom options, GET: %+v", got)
	}
	if got := s.web("OPTIONS", "/guest/default/any-key", ""); got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("options: %+v", got)
	}
}

func testWebOrigins(t *testing.T, s *standalone) {
	const all, usual = "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH", "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"
	pre := s.web("OPTIONS", "/guest/default/echo", "", "Origin", "https://a.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-custom-header")
	if pre.status != 200 || pre.body != "" || pre.header.Get("Access-Control-Allow-Origin") != "*" || pre.header.Get("Access-Control-Allow-Methods") != all ||
		pre.header.Get("Access-Control-Allow-Headers") != "x-custom-header" || pre.header.Get("X-Openwhisk-Activation-Id") != "" {
		t.Errorf("preflight: %+v", pre)
	}
	get := s.web("GET", "/guest/default/echo", "", "Origin", "https://a.example")
	if get.header.Get("Access-Control-Allow-Origin") != "*" || get.header.Get("Access-Control-Allow-Methods") != all || get.header.Get("Access-Control-Allow-Headers") != usual {
		t.Errorf("GET: %v", get.header)
	}
	// What the action says of origins counts, and is said once.
	own := s.web("GET", "/guest/default/answer?answer="+url.QueryEscape(`{"body":"x","headers":{"access-control-allow-origin":"https://a.example"}}`), "")
	if got := own.header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "https://a.example" {
		t.Errorf("its own origin: %q", got)
	}
	if got := s.web("GET", "/guest/default/nobody", ""); got.status != 404 || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("nobody: %+v", got)
	}
}

// Who does not accept what there is learns what there is.
func testWebAccept(t *testing.T, s *standalone) {
	for _, c := range []struct {
		accept, answer string
		status         int
		body           string
	}{
		{"*/*", `{"body":"x"}`, 200, "x"},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", `{"body":"x"}`, 200, "x"},
		{"text/*", `{"body":"x"}`, 200, "x"},
		{"application/json", `{"body":"x"}`, 406, "Resource representation is only available with these types:\ntext/html; charset=UTF-8"},
		{"text/html;q=0, */*", `{"body":"x"}`, 406, "Resource representation is only available with these types:\ntext/html; charset=UTF-8"},
		{"image/*", `{"body":{"a":1}}`, 406, "Resource representation is only available with these types:\napplication/json"},
		{"image/*", `{"statusCode":302,"headers":{"location":"/x"}}`, 302, ""},
		{"image/*", `{}`, 204, ""},
	} {
		got := s.web("GET", "/guest/default/answer?answer="+url.QueryEscape(c.answer), "", "Accept", c.accept)
		body := got.body
		if c.status == 406 {
			body = got.failure(t)
		}
		if got.status != c.status || body != c.body {
			t.Errorf("%s of %s: %d %q, want %d %q", c.accept, c.answer, got.status, body, c.status, c.body)
		}
	}
}

// A binding's web actions are reached by the binding's name, with its parameters, also where
// the packages are private; the run is its owner's.
func testWebBindings(t *testing.T, s *standalone) {
	s.ask(200, "PUT", restNS+"packages/provider", `{"publish":false,"parameters":[{"key":"a","value":"provider"},{"key":"b","value":"provider"}]}`, nil)
	s.put("provider/echo", action{kind: "python:3", code: webEcho, annotations: `[{"key":"web-export","value":true},{"key":"final","value":true}]`})
	s.ask(200, "PUT", restNS+"packages/bound", `{"binding":{"namespace":"guest","name":"provider"},"parameters":[{"key":"a","value":"binding"}]}`, nil)
	got := s.web("GET", "/guest/bound/echo.http/x?c=1", "")
	args := got.args(t)
	if args["a"] != "binding" || args["b"] != "provider" || args["c"] != "1" || args["__ow_path"] != "/x" {
		t.Errorf("%v", args)
	}
	if got := s.web("GET", "/guest/bound/echo?b=2", ""); got.status != 400 {
		t.Errorf("a final parameter of the provider's: %d %s", got.status, got.body)
	}
	var rec wskActivation
	s.ask(200, "GET", restNS+"activations/"+got.header.Get("X-Openwhisk-Activation-Id"), "", &rec)
	if rec.Namespace != "guest" || rec.Name != "echo" {
		t.Errorf("the record: %+v", rec)
	}
}

// A sequence is a web action like any other, also behind a route.
func testWebSequences(t *testing.T, s *standalone) {
	s.ask(200, "PUT", restNS+"actions/both", `{"exec":{"kind":"sequence","components":["/_/echo","/_/plain"]},"annotations":[{"key":"web-export","value":true}]}`, nil)
	s.mustCreateAPI("/seq", "/{n}", "GET", "both", "http")
	for _, accept := range []string{"*/*", "text/event-stream, */*"} {
		got := s.web("GET", "/guest/default/both.http/x?a=1", "", "Accept", accept)
		if args := got.args(t); args["a"] != "1" || args["__ow_path"] != "/x" {
			t.Errorf("%s: %v", accept, args)
		}
		var rec wskActivation
		s.ask(200, "GET", restNS+"activations/"+got.header.Get("X-Openwhisk-Activation-Id"), "", &rec)
		if rec.Name != "both" || len(rec.Logs) != 2 {
			t.Errorf("the record: %+v", rec)
		}
	}
	if args := s.visit("GET", "/api/guest/seq/7", "").args(t); args["n"] != "7" {
		t.Errorf("%v", args)
	}
}

// Who asks for a stream gets a streaming function's items as they come, and all others' answers
// as ever.
func TestWebActionsStream(t *testing.T) {
	t.Parallel()
	share := shared(t)
	s := startStandalone(t, t.TempDir(), "--share", share)
	for _, c := range streamers {
		t.Run(c.name, func(t *testing.T) {
			name := strings.ReplaceAll(c.name, " ", "-")
			s.put(name, action{kind: c.kind, code: c.code, annotations: isWeb})
			dir := openDir(t, share)
			r := read(t, s.api+"/api/v1/web/guest/default/"+name, "text/event-stream", `{"dir":"`+dir+`","step":true,"last":3}`, "Content-Type", "application/json")
			if r.resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("the headers: %v", r.resp.Header)
			}
			for n := 1; n <= 3; n++ {
				r.item(n)
				os.WriteFile(fmt.Sprint(dir, "/", n), nil, 0o666)
			}
			r.wantEnd("ok", 3)
			if code, result, _ := s.recorded(r.resp.Header.Get("X-Openwhisk-Activation-Id")); code != 0 || !strings.HasPrefix(result, `{"items":[{"n":1,`) {
				t.Errorf("the record says %d %s", code, result)
			}
		})
	}
	s.put("mixed", action{kind: "python:3", annotations: isWeb, code: `
def items(args):
    yield {"body": "first"}
    yield 2
def main(args):
    what = args["what"]
    if what == "stream": return items(args)
    if what == "one": return iter([{"body": "only"}])
    if what == "none": return iter([])
    if what == "page": return {"statusCode": 201, "headers": {"content-type": "text/event-stream"}, "body": "data: made by hand\n\n"}
    if what == "error": return {"error": {"statusCode": 404, "body": "nothing here"}}
    if what == "raise": raise ValueError("no")
    if what == "bad": return "a word"
    return {"n": 1}
`})
	for _, c := range []struct {
		what, accept string
		status       int
		contentType  string
		body         string
	}{
		{"stream", "text/event-stream", 200, "text/event-stream", "data: {\"body\":\"first\"}\n\ndata: 2\n\nevent: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":2}\n\n"},
		{"stream", "application/x-ndjson", 200, "application/x-ndjson", "{\"body\":\"first\"}\n2\n"},
		{"one", "text/event-stream", 200, "text/event-stream", "data: {\"body\":\"only\"}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":1}\n\n"},
		{"none", "text/event-stream", 200, "text/event-stream", "event: end\ndata: {\"outcome\":\"ok\",\"stream\":true,\"items\":0}\n\n"},
		{"page", "text/event-stream", 201, "text/event-stream; charset=UTF-8", "data: made by hand\n\n"},
		{"error", "text/event-stream, text/html", 404, htmlType, "nothing here"},
		{"raise", "text/event-stream", 400, "application/json", "not valid 'message/http'"},
		{"bad", "text/event-stream", 200, "text/event-stream", "developer_error"},
		{"plain", "text/event-stream", 200, "text/event-stream", "data: {\"n\":1}\n\nevent: end\ndata: {\"outcome\":\"ok\",\"items\":1}\n\n"},
	} {
		r := read(t, s.api+"/api/v1/web/guest/default/mixed?what="+c.what, c.accept, "")
		b, err := io.ReadAll(r.in)
		if r.resp.StatusCode != c.status || r.resp.Header.Get("Content-Type") != c.contentType || err != nil || !strings.Contains(string(b), c.body) {
			t.Errorf("%s: %d %q %q %v, want %d %q %q", c.what, r.resp.StatusCode, r.resp.Header.Get("Content-Type"), b, err, c.status, c.contentType, c.body)
		}
	}
}
