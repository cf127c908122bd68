package test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// What a request becomes for a function.
func TestWebRequests(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.putWeb()
	s.ask(200, "PUT", restNS+"packages/shop", `{"parameters":[{"key":"from","value":"package"},{"key":"currency","value":"EUR"}]}`, nil)
	s.put("shop/echo", action{kind: "python:3", code: webEcho, annotations: isWeb, parameters: `[{"key":"from","value":"action"}]`})
	form := "application/x-www-form-urlencoded"
	picture := string(png(t))
	pictureText := base64.StdEncoding.EncodeToString(png(t))
	parts, partsType := multipartOf(t)
	for _, c := range []struct {
		name, method, path, contentType, body, want string // the arguments but __ow_headers
	}{
		{"get", "GET", "/default/ACTION", "", "", `{"__ow_method":"get","__ow_path":""}`},
		{"query", "GET", "/default/ACTION?a=1&b=%C3%BC+x&a=2&c", "", "", `{"__ow_method":"get","__ow_path":"","a":"2","b":"ü x","c":""}`},
		{"semicolons", "GET", "/default/ACTION?a=1;b=2", "", "", `{"__ow_method":"get","__ow_path":"","a":"1;b=2"}`},
		{"path", "GET", "/default/ACTION.http/a%2Fb/c%20d/", "", "", `{"__ow_method":"get","__ow_path":"/a%2Fb/c%20d/"}`},
		{"path without an extension", "GET", "/default/ACTION/x.json", "", "", `{"__ow_method":"get","__ow_path":"/x.json"}`},
		{"path that climbs", "GET", "/default/ACTION.http/../../../namespaces", "", "", `{"__ow_method":"get","__ow_path":"/../../../namespaces"}`},
		{"delete", "DELETE", "/default/ACTION?id=7", "", "", `{"__ow_method":"delete","__ow_path":"","id":"7"}`},
		{"put JSON", "PUT", "/default/ACTION", "application/json", `{"n":1.5,"deep":{"a":[null]}}`, `{"__ow_method":"put","__ow_path":"","n":1.5,"deep":{"a":[null]}}`},
		{"patch JSON over query", "PATCH", "/default/ACTION?n=query&m=2", "application/json; charset=utf-8", `{"n":"body"}`, `{"__ow_method":"patch","__ow_path":"","n":"body","m":"2"}`},
		{"JSON of another name", "POST", "/default/ACTION", "application/vnd.api+json", ` {"a":1} `, `{"__ow_method":"post","__ow_path":"","a":1}`},
		{"empty JSON", "POST", "/default/ACTION", "application/json", ` `, `{"__ow_method":"post","__ow_path":""}`},
		{"JSON array", "POST", "/default/ACTION", "application/json", `[1,"a"]`, `{"__ow_method":"post","__ow_path":"","__ow_body":[1,"a"]}`},
		{"JSON string", "POST", "/default/ACTION", "application/json", `"a"`, `{"__ow_method":"post","__ow_path":"","__ow_body":"a"}`},
		{"form", "POST", "/default/ACTION?a=query&q=1", form, "a=form&b=%26&b=last", `{"__ow_method":"post","__ow_path":"","a":"form","b":"last","q":"1"}`},
		{"text", "POST", "/default/ACTION", "text/plain", "J\xc3\xa4ne", `{"__ow_method":"post","__ow_path":"","__ow_body":"Jäne"}`},
		{"text that is none", "POST", "/default/ACTION", "text/plain", "J\xffne", `{"__ow_method":"post","__ow_path":"","__ow_body":"J\ufffdne"}`},
		{"XML", "POST", "/default/ACTION", "application/xml", "<a/>", `{"__ow_method":"post","__ow_path":"","__ow_body":"<a/>"}`},
		{"a picture", "POST", "/default/ACTION", "image/png", picture, `{"__ow_method":"post","__ow_path":"","__ow_body":"` + pictureText + `"}`},
		{"no type", "POST", "/default/ACTION", "", "abc", `{"__ow_method":"post","__ow_path":"","__ow_body":"YWJj"}`},
		{"multipart", "POST", "/default/ACTION", partsType, parts, `{"__ow_method":"post","__ow_path":"","__ow_body":"` + base64.StdEncoding.EncodeToString([]byte(parts)) + `"}`},
		{"package and action", "GET", "/shop/echo?to=Ada", "", "", `{"__ow_method":"get","__ow_path":"","from":"action","currency":"EUR","to":"Ada"}`},
		{"query over action over package", "GET", "/shop/echo?from=query", "", "", `{"__ow_method":"get","__ow_path":"","from":"query","currency":"EUR"}`},
		{"raw", "GET", "/default/raw?a=1&b=%26&__ow_method=x", "", "", `{"__ow_method":"get","__ow_path":"","__ow_query":"a=1&b=%26&__ow_method=x","__ow_body":""}`},
		{"raw JSON", "POST", "/default/raw", "application/json", `{"a": 1}`, `{"__ow_method":"post","__ow_path":"","__ow_query":"","__ow_body":"eyJhIjogMX0="}`},
		{"raw form", "POST", "/default/raw", form, "a=%zz", `{"__ow_method":"post","__ow_path":"","__ow_query":"","__ow_body":"a=%zz"}`},
		{"raw picture", "POST", "/default/raw/x?y", "image/png", picture, `{"__ow_method":"post","__ow_path":"/x","__ow_query":"y","__ow_body":"` + pictureText + `"}`},
	} {
		for _, function := range []string{"echo", "echo-js"} {
			path := strings.Replace(c.path, "ACTION", function, 1)
			if function == "echo-js" && path == c.path {
				continue
			}
			t.Run(c.name+"/"+function, func(t *testing.T) {
				var headers []string
				if c.contentType != "" {
					headers = []string{"Content-Type", c.contentType}
				}
				got := s.web(c.method, "/guest"+path, c.body, headers...).args(t)
				seen, _ := got["__ow_headers"].(map[string]any)
				if kind, _ := seen["content-type"].(string); kind != c.contentType || seen["host"] != strings.TrimPrefix(s.api, "http://") {
					t.Errorf("headers: %v", seen)
				}
				delete(got, "__ow_headers")
				var want map[string]any
				if err := json.Unmarshal([]byte(c.want), &want); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%v\nwant %v", got, want)
				}
			})
		}
	}
}

// multipartOf is what a browser sends of a form with a file.
func multipartOf(t *testing.T) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.SetBoundary("a-boundary-that-stays-the-same")
	w.WriteField("name", "Ada")
	f, err := w.CreateFormFile("file", "a.png")
	if err != nil {
		t.Fatal(err)
	}
	f.Write(png(t))
	w.Close()
	return b.String(), w.FormDataContentType()
}

func TestWebHeadersBodiesAndSizes(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.putWeb()
	echo := "/guest/default/echo"

	headers, _ := s.web("GET", echo, "", "X-Custom", "a", "X-Custom", "b", "Cookie", "a=b", "Cookie", "c=d", "Accept", "*/*").args(t)["__ow_headers"].(map[string]any)
	for name, want := range map[string]string{"x-custom": "a, b", "cookie": "a=b; c=d", "accept": "*/*"} {
		if headers[name] != want {
			t.Errorf("%s: %q, want %q", name, headers[name], want)
		}
	}
	head := s.web("HEAD", "/guest/default/answer?answer=%7B%22headers%22%3A%7B%22location%22%3A%22%2Fx%22%7D%2C%22body%22%3A%22four%22%7D", "")
	if head.status != 200 || head.header.Get("Location") != "/x" || head.body != "" || head.header.Get("Content-Length") != "4" {
		t.Errorf("HEAD: %+v", head)
	}

	// A body of nearly 1 MB, whole and in chunks, comes through byte for byte.
	big := make([]byte, 1<<20-1)
	for i := range big {
		big[i] = byte(i * 7)
	}
	s.put("size", action{kind: "python:3", annotations: isWeb, code: `
import base64, hashlib
def main(args):
    b = base64.b64decode(args["__ow_body"])
    return {"body": {"size": len(b), "sum": sum(b)}}
`})
	sum := 0
	for _, c := range big {
		sum += int(c)
	}
	for _, length := range []int64{int64(len(big)), -1} {
		req, err := http.NewRequest("POST", s.api+"/api/v1/web/guest/default/size", bytes.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Content-Type", "application/octet-stream")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf(`{"size":%d,"sum":%d}`, len(big), sum); resp.StatusCode != 200 || !sameJSON(string(b), want) {
			t.Errorf("length %d: %d %s, want %s", length, resp.StatusCode, b, want)
		}
	}
	for _, length := range []int64{1<<20 + 1, -1} { // announced, and chunked
		req, err := http.NewRequest("POST", s.api+"/api/v1/web"+echo, io.LimitReader(endless{}, 1<<20+1))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 413 || !strings.Contains(string(b), "Request larger than allowed: 1048577 > 1048576 bytes.") {
			t.Errorf("length %d: %d %s", length, resp.StatusCode, b)
		}
	}
	// A result of nearly 1 MB comes back; a larger one is the action's error.
	s.put("much", action{kind: "python:3", annotations: isWeb, code: "def main(args):\n    return {'body': 'x' * int(args['n'])}\n"})
	if got := s.web("GET", "/guest/default/much?n=1048000", ""); got.status != 200 || len(got.body) != 1048000 {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
	if got := s.web("GET", "/guest/default/much.text?n=1048577", ""); got.status != 200 || !strings.Contains(got.body, "exceeded the allowed length") {
		t.Errorf("%d %.200s", got.status, got.body)
	}
	if got := s.web("GET", echo, "", "X-Long", strings.Repeat("x", 100_000)).args(t)["__ow_headers"]; len(got.(map[string]any)["x-long"].(string)) != 100_000 {
		t.Error("a long header is cut")
	}
	if got := s.web("GET", echo, "", "X-Long", strings.Repeat("x", 2<<20)); got.status != 431 {
		t.Errorf("a header of 2 MB: %d %.100s", got.status, got.body)
	}
}

// What cannot be right is refused in words.
func TestWebBadRequests(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.putWeb()
	s.put("final", action{kind: "python:3", code: webEcho, parameters: `[{"key":"price","value":10},{"key":"open","value":null}]`,
		annotations: `[{"key":"web-export","value":true},{"key":"final","value":true}]`})
	s.put("stringly", action{kind: "python:3", code: webEcho, annotations: `[{"key":"web-export","value":"true"}]`})
	const (
		missing  = "The requested resource does not exist."
		reserved = "Request defines parameters that are not allowed (e.g., reserved properties)."
		form     = "application/x-www-form-urlencoded"
	)
	for _, c := range []struct {
		status                          int
		method, path, contentType, body string
		want                            string
	}{
		{404, "GET", "/guest/default/nobody", "", "", missing},
		{404, "GET", "/guest/default/private", "", "", missing},
		{404, "GET", "/guest/default/stringly", "", "", missing},
		{404, "OPTIONS", "/guest/default/private", "", "", missing},
		{404, "GET", "/guest/nobody/echo", "", "", missing},
		{404, "GET", "/nobody/default/echo", "", "", missing},
		{404, "GET", "/_/default/echo", "", "", missing},
		{404, "GET", "/guest/default", "", "", missing},
		{404, "GET", "/guest", "", "", missing},
		{404, "GET", "/", "", "", missing},
		{404, "GET", "/guest/default/echo.xyz", "", "", missing},
		{404, "GET", "/guest/default/.http", "", "", missing},
		{404, "GET", "/guest/default/%2e%2e/echo", "", "", missing},
		{404, "GET", "/guest/..%2Fguest/echo", "", "", missing},
		{404, "GET", "/guest/default/" + strings.Repeat("n", 257), "", "", missing},
		{405, "TRACE", "/guest/default/echo", "", "", "HTTP method not allowed, supported methods: OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH"},
		{400, "GET", "/guest/default/echo?a=%zz", "", "", "The query string is malformed: invalid URL escape \"%zz\""},
		{400, "POST", "/guest/default/echo", form, "a=%zz", "The request content was malformed:\nthe form: invalid URL escape \"%zz\""},
		{400, "POST", "/guest/default/echo", "application/json", `{"a":`, "The request content was malformed:\nthe body is not JSON"},
		{400, "POST", "/guest/default/echo", "application/json", "{\"a\":\"\xff\"}", "The request content was malformed:\nthe body is not UTF-8"},
		{400, "GET", "/guest/default/echo?__ow_user=root", "", "", reserved},
		{400, "GET", "/guest/default/echo?__ow_method=x", "", "", reserved},
		{400, "POST", "/guest/default/echo?__ow_body=x", "text/plain", "mine", reserved},
		{400, "POST", "/guest/default/echo", "application/json", `{"__ow_\u0068eaders":{}}`, reserved},
		{400, "POST", "/guest/default/echo", form, `__ow_path=x`, reserved},
		{400, "GET", "/guest/default/final?price=0", "", "", reserved},
		{400, "POST", "/guest/default/final", "application/json", `{"price":0}`, reserved},
		{200, "GET", "/guest/default/final?open=x", "", "", ""},
	} {
		var headers []string
		if c.contentType != "" {
			headers = []string{"Content-Type", c.contentType}
		}
		got := s.web(c.method, c.path, c.body, headers...)
		if got.status != c.status {
			t.Errorf("%s %s %s: %d %.200s, want %d", c.method, c.path, c.body, got.status, got.body, c.status)
		} else if c.want != "" {
			if text := got.failure(t); text != c.want {
				t.Errorf("%s %s %s: %q, want %q", c.method, c.path, c.body, text, c.want)
			}
		}
	}
	// What no client of Go's would send.
	for _, raw := range []string{
		"GET /api/v1/web/guest/default/echo%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /api/v1/web/guest/default/echo?a=\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /api/v1/web/guest/default/echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"GET /api/v1/web/guest/default/echo HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.api, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, raw)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 400 {
			t.Errorf("%q: %v %v", raw, resp, err)
		}
		conn.Close()
	}
}
