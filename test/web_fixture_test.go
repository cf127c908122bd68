package test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The functions behind the tests of web actions. The one called answer returns what
// its parameter says, echo the request as it has come.
const (
	webAnswer   = "import json\ndef main(args):\n    return json.loads(args['answer'])\n"
	webEcho     = "def main(args):\n    return {'body': args}\n"
	webAnswerJS = "function main(args) { return JSON.parse(args.answer) }"
	webEchoJS   = "function main(args) { return { body: args } }"
	webPlain    = "def main(args):\n    return args\n"
)

const isWeb = `[{"key":"web-export","value":true}]`

// A webReply is what somebody with an ordinary HTTP client has got.
type webReply struct {
	status int
	header http.Header
	body   string
}

// web asks without a key, and follows no redirects. path is what follows /api/v1/web; headers
// are pairs.
func (s *standalone) web(method, path, body string, headers ...string) webReply {
	s.t.Helper()
	return s.visit(method, "/api/v1/web"+path, body, headers...)
}

// visit is web for any path.
func (s *standalone) visit(method, path, body string, headers ...string) webReply {
	s.t.Helper()
	req, err := http.NewRequest(method, s.api+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return webReply{resp.StatusCode, resp.Header, string(b)}
}

// failure returns the text of an error, which must be OpenWhisk's shape.
func (r webReply) failure(t *testing.T) string {
	t.Helper()
	var e struct{ Error, Code string }
	if err := json.Unmarshal([]byte(r.body), &e); err != nil || e.Error == "" || e.Code == "" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %.200s is no error", r.status, r.body)
	}
	return e.Error
}

// args returns the arguments that an echo has seen.
func (r webReply) args(t *testing.T) map[string]any {
	t.Helper()
	var args map[string]any
	if err := json.Unmarshal([]byte(r.body), &args); err != nil || r.status != 200 {
		t.Fatalf("%d %.300s is no echo: %v", r.status, r.body, err)
	}
	return args
}

// putWeb creates the functions above.
func (s *standalone) putWeb() {
	s.t.Helper()
	s.put("answer", action{kind: "python:3", code: webAnswer, annotations: isWeb})
	s.put("answer-js", action{kind: "nodejs:20", code: webAnswerJS, annotations: isWeb})
	s.put("echo", action{kind: "python:3", code: webEcho, annotations: isWeb})
	s.put("echo-js", action{kind: "nodejs:20", code: webEchoJS, annotations: isWeb})
	s.put("plain", action{kind: "python:3", code: webPlain, annotations: isWeb})
	s.put("raw", action{kind: "python:3", code: webEcho, annotations: `[{"key":"web-export","value":true},{"key":"raw-http","value":true}]`})
	s.put("private", action{kind: "python:3", code: webEcho})
}
