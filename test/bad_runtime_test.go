package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A runtime refuses what no invoker of OpenWhisk would send, and is as good as
// new afterwards: first one that waits for its /init, then one with a function.
func TestBrokenRequestsToARuntime(t *testing.T) {
	r := startRuntime(t, "WHISKAWAY_KIND=python:3")
	refuses := func(t *testing.T, c badCase) {
		t.Helper()
		head := []string{"Host: " + strings.TrimPrefix(r.url, "http://"), "Connection: close"}
		got := exchange(t, r.url, c.bytes(head), c.cut)
		c.wantRefusal(t, got, "/whiskaway", "/tmp/")
		if c.code != "" && got.header.Get("Content-Length") == "" {
			t.Error("no Content-Length")
		}
	}
	for _, c := range brokenRuntimeInits() {
		t.Run("init/"+c.name, func(t *testing.T) { refuses(t, c) })
	}
	if status, b := r.post("/init", initBody("main", countPy, nil)); status != 200 {
		t.Fatalf("a good /init after the broken ones: %d %s", status, b)
	}
	var count counter
	unharmed := func(t *testing.T) {
		t.Helper()
		status, b := r.post("/run", runBody("{}", "id", time.Now().Add(patience)))
		if status != 200 {
			t.Fatalf("/run: %d %s", status, b)
		}
		count.advanced(t, counterOf(t, []byte(b)))
	}
	unharmed(t)
	for _, c := range brokenRuntimeRuns() {
		t.Run("run/"+c.name, func(t *testing.T) {
			refuses(t, c)
			unharmed(t)
		})
	}
	t.Run("a slow body", func(t *testing.T) {
		slowly(t, r.url, "POST /run HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", runBody("{}", "id", time.Now().Add(patience)), func() { unharmed(t) })
		count.n++ // the slow one ran too
		unharmed(t)
	})
	if strings.Contains(r.log(), "panic") {
		t.Error("something panicked")
	}
}

func brokenRuntimeInits() []badCase {
	refused := func(name, body, words string) badCase {
		return badCase{name: name, line: "POST /init", body: body, status: 400, code: anyCode, words: words}
	}
	value := func(name, fields, words string) badCase {
		return refused(name, `{"value":{"code":"x",`+fields+`}}`, words)
	}
	because := func(status int, c badCase) badCase { c.status = status; return c }
	cut := refused("cut", `{"value":{"code":"def main`, "ended")
	cut.head, cut.cut = []string{"Content-Length: 1000"}, true
	chunks := refused("chunks without sizes", "{}\r\n", "ended early")
	chunks.head = []string{"Transfer-Encoding: chunked"}
	env, _ := json.Marshal(map[string]string{"A=B": "x"})
	return []badCase{
		{name: "before there is a function", line: "POST /run", body: "{}", status: 502, code: anyCode, words: "before it is initialized"},
		{name: "another path", line: "POST /", status: 404, code: anyCode, words: "POST /init"},
		{name: "another method", line: "GET /init", status: 405, code: anyCode, words: "POST"},
		refused("nothing", "", "not JSON"),
		refused("not JSON", "hello", "not JSON"),
		refused("two objects", `{"value":{"code":"x"}}{}`, "not JSON"),
		refused("an array", "[]", "not a JSON array"),
		refused("a number", "7", "not a JSON number"),
		refused("brackets without end", strings.Repeat("[", 200_000), "not JSON"),
		refused("truncated", `{"value":{"code":"x"`, "not JSON"),
		refused("a control character in the code", "{\"value\":{\"code\":\"a\nb\"}}", "control character"),
		refused("a broken escape in the code", `{"value":{"code":"\q"}}`, "backslash"),
		refused("the code twice", `{"value":{"code":"a","code":"b"}}`, "twice"),
		refused("the code as a list", `{"value":{"code":["a"]}}`, "value.code must not be a JSON array"),
		value("binary in words", `"binary":"yes"`, "value.binary"),
		value("an env that is a list", `"env":["A=b"]`, "value.env"),
		value("an env with a bad name", `"env":`+string(env), "environment variable"),
		value("an env with a zero byte", `"env":{"A":"\u0000"}`, "environment variable"),
		value("a main that is a number", `"main":7`, "value.main"),
		value("a main with a zero byte", `"main":"m\u0000"`, "zero byte"),
		value("a main without end", `"main":"`+strings.Repeat("m", 5000)+`"`, "main"),
		value("a namespace of two lines", `"env":{"__OW_NAMESPACE":"a\r\nb"}`, "namespace"),
		value("a target without a name", `"main":"main@"`, "nothing follows the @"),
		value("a target with a password", `"main":"main@https://me:secret@x.example"`, "password"),
		value("a target with an odd scheme", `"main":"main@file:///etc/passwd"`, "scheme"),
		value("a target with a bad port", `"main":"main@x.example:99999"`, "port"),
		value("a target that needs nonsense", `"main":"main@gpu&memory=much"`, "not a size"),
		value("a target that needs too much", `"main":"main@gpu&workers=1000000"`, "workers"),
		refused("code that is no base64", `{"value":{"code":"AAA!","binary":true}}`, "base64"),
		refused("code that is half of base64", `{"value":{"code":"AAA","binary":true}}`, "base64"),
		because(403, refused("no value", "{}", "no code")),
		because(403, refused("no code", `{"value":{"main":"main"}}`, "no code")),
		because(403, refused("empty code", `{"value":{"code":""}}`, "no code")),
		because(413, value("too much beside the code", `"x":"`+strings.Repeat("x", 9<<20)+`"`, "beside the code")),
		because(502, refused("a zip that is none", `{"value":{"code":"AAAA","binary":true}}`, "sent as binary")),
		because(502, refused("text that is no Python", `{"value":{"code":"def main(:"}}`, "syntax")),
		because(502, value("a kind that nobody has", `"main":"main@gpu&kind=cobol"`, "")),
		cut, chunks,
	}
}

func brokenRuntimeRuns() []badCase {
	refused := func(name, length, body, words string) badCase {
		return badCase{name: name, line: "POST /run", head: []string{length}, body: body, cut: true, status: 400, code: anyCode, words: words}
	}
	huge := refused("more than anybody keeps", "Content-Length: 99999999999", "{", "limit")
	huge.status = 413
	return []badCase{
		{name: "a second init", line: "POST /init", body: initBody("main", countPy, nil), status: 403, code: anyCode, words: "more than once"},
		{name: "a broken second init", line: "POST /init", body: "{", status: 403, code: anyCode, words: "more than once"},
		{name: "another method", line: "GET /run", status: 405, code: anyCode, words: "POST"},
		{name: "another path", line: "POST /run/x", body: "{}", status: 404, code: anyCode, words: "POST /run"},
		{name: "not HTTP", raw: "hello\r\n\r\n", status: 400},
		refused("less than was announced", "Content-Length: 100", "{}", "ended early"),
		refused("chunks without sizes", "Transfer-Encoding: chunked", "{}\r\n\r\n", "ended early"),
		refused("chunks without end", "Transfer-Encoding: chunked", "2\r\n{}\r\n", "ended early"),
		huge,
	}
}

// slowly sends a request whose body comes in pieces, with meanwhile between them.
// It must be answered like any other.
func slowly(t *testing.T, url, head, body string, meanwhile func()) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n", head, len(body))
	for len(body) > 0 {
		n := min(40, len(body))
		if _, err := io.WriteString(conn, body[:n]); err != nil {
			t.Fatal(err)
		}
		if body = body[n:]; body != "" {
			meanwhile()
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("the slow one was answered %.500q, %v", answer, err)
	}
}
