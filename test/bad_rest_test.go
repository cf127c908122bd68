package test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// The platform's REST API refuses what is not right in OpenWhisk's words, and an
// action that was there before goes on in the same process.
func TestBrokenRequestsToTheRestAPI(t *testing.T) {
	dir := t.TempDir()
	s := startStandalone(t, dir)
	s.put("count", action{kind: "python:3", code: countPy})
	var count counter
	unharmed := func(t *testing.T) {
		t.Helper()
		a := s.invoke("count", "{}")
		if !a.Response.Success {
			t.Fatalf("%s %s", a.Response.Status, a.Response.Result)
		}
		count.advanced(t, counterOf(t, a.Response.Result))
	}
	unharmed(t)
	_, key, _ := strings.Cut(s.auth, ":")
	head := []string{"Host: " + strings.TrimPrefix(s.api, "http://"), "Connection: close", "Content-Type: application/json", "Authorization: " + basic(s.auth)}
	for _, c := range brokenRests(s.auth) {
		t.Run(c.name, func(t *testing.T) {
			c.wantRefusal(t, exchange(t, s.api, c.bytes(head), c.cut), dir, key)
			unharmed(t)
		})
	}
	t.Run("a slow body", func(t *testing.T) {
		head := "POST " + restPath("actions/count?blocking=true") + " HTTP/1.1\r\n" + strings.Join(head, "\r\n") + "\r\n"
		slowly(t, s.api, head, "{"+strings.Repeat(" ", 100)+"}", func() { unharmed(t) })
		count.n++ // the slow one ran too
		unharmed(t)
	})
	var list []wskAction
	if s.ask(200, "GET", restNS+"actions", "", &list); len(list) != 1 {
		t.Errorf("something refused was created all the same: %v", list)
	}
	if strings.Contains(s.log(), "panic") {
		t.Error("something panicked")
	}
}

func basic(auth string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(auth)) }

func restPath(rest string) string { return "/api/v1" + restNS + rest }

func brokenRests(auth string) []badCase {
	user, key, _ := strings.Cut(auth, ":")
	with := func(status int, name, line, body, words string) badCase {
		method, path, _ := strings.Cut(line, " ")
		return badCase{name: name, line: method + " " + restPath(path), body: body, status: status, code: anyCode, words: words}
	}
	refused := func(name, line, body, words string) badCase { return with(400, name, line, body, words) }
	put := func(name, body, words string) badCase { return refused("PUT "+name, "PUT actions/new", body, words) }
	exec := func(name, more, words string) badCase {
		return put(name, `{"exec":{"kind":"python:3","code":"x"},`+more+`}`, words)
	}
	cut := refused("less than was announced", "POST actions/count", "{", "ended early")
	cut.head, cut.cut = []string{"Content-Length: 100"}, true
	chunks := refused("chunks without sizes", "POST actions/count", "{}\r\n", "ended early")
	chunks.head = []string{"Transfer-Encoding: chunked"}
	huge := with(413, "more than anybody keeps", "POST actions/count", "{", "larger than allowed")
	huge.head, huge.cut = []string{"Content-Length: 99999999999"}, true
	keyless := func(name, value string) badCase {
		c := with(401, name, "GET actions", "", "authentication")
		c.head = []string{value}
		return c
	}
	return []badCase{
		{name: "not HTTP", raw: "hello\r\n\r\n", status: 400},
		{name: "headers above 1 MB", raw: "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", status: 431},
		keyless("no key", "-Authorization"),
		keyless("an empty key", "Authorization: "+basic(user+":")),
		keyless("a wrong key", "Authorization: "+basic(user+":"+strings.Repeat("x", len(key)))),
		keyless("half a key", "Authorization: "+basic(auth[:len(auth)-1])),
		keyless("another user", "Authorization: "+basic("23bc46b1-71f6-4ed5-8c54-816aa4f8c502:"+key)),
		keyless("a key that is no base64", "Authorization: Basic !!!"),
		keyless("a key of another scheme", "Authorization: Bearer "+auth),
		{name: "another path", line: "GET /api/v2/namespaces", status: 404, code: anyCode},
		with(404, "another collection", "GET sequences", "", "does not exist"),
		with(404, "no such action", "GET actions/none", "", "does not exist"),
		with(404, "no such package", "PUT actions/none/x", `{"exec":{"kind":"python:3","code":"x"}}`, "does not exist"),
		with(404, "a path too deep", "GET actions/a/b/c", "", "does not exist"),
		{name: "another namespace", line: "GET /api/v1/namespaces/other/actions", status: 403, code: anyCode, words: "not authorized"},
		with(405, "another method", "PATCH actions/count", "", "not allowed"),
		with(405, "a list is not deleted", "DELETE actions", "", "not allowed"),
		refused("a name with odd characters", "PUT actions/a%00b", `{"exec":{"kind":"python:3","code":"x"}}`, "illegal characters"),
		refused("a name that is not UTF-8", "PUT actions/%ff", `{"exec":{"kind":"python:3","code":"x"}}`, "illegal characters"),
		with(413, "a name without end", "PUT actions/"+strings.Repeat("n", 300), `{"exec":{"kind":"python:3","code":"x"}}`, "longer than allowed"),
		with(409, "an action that is there", "PUT actions/count", `{"exec":{"kind":"python:3","code":"x"}}`, "already exists"),
		refused("a flag in words", "PUT actions/count?overwrite=perhaps", `{}`, "overwrite"),
		put("nothing", "", "exec undefined"),
		put("not JSON", "hello", "malformed"),
		put("two objects", "{}{}", "malformed"),
		put("not UTF-8", "{\"exec\":{\"kind\":\"python:3\",\"code\":\"\xff\"}}", "UTF-8"),
		put("an array", "[]", "must be an object"),
		put("brackets without end", strings.Repeat("[", 200_000), "malformed"),
		put("exec is a text", `{"exec":"code"}`, "exec"),
		put("no kind", `{"exec":{"code":"x"}}`, "kind"),
		put("a kind that nobody has", `{"exec":{"kind":"cobol:60","code":"x"}}`, "cobol:60"),
		put("no code", `{"exec":{"kind":"python:3"}}`, "code"),
		put("code as a list", `{"exec":{"kind":"python:3","code":["x"]}}`, "code"),
		exec("limits are a list", `"limits":[]`, "limits"),
		exec("a time limit in words", `"limits":{"timeout":"long"}`, "timeout"),
		exec("a time limit below", `"limits":{"timeout":-1}`, "timeout"),
		exec("a time limit above", `"limits":{"timeout":99999999}`, "timeout"),
		exec("a time limit beyond 64 bits", `"limits":{"timeout":1e30}`, "timeout"),
		exec("half a megabyte", `"limits":{"memory":128.5}`, "memory"),
		exec("all the memory", `"limits":{"memory":1000000}`, "memory"),
		exec("concurrency without end", `"limits":{"concurrency":1000000}`, "concurrency"),
		exec("parameters are an object", `"parameters":{"a":1}`, "parameters"),
		exec("a parameter without a name", `"parameters":[{"value":1}]`, "key"),
		exec("annotations are a text", `"annotations":"x"`, "annotations"),
		exec("a version in words", `"version":"new"`, "version"),
		with(413, "PUT too many parameters", "PUT actions/new", `{"exec":{"kind":"python:3","code":"x"},"parameters":[{"key":"a","value":"`+strings.Repeat("x", 1<<20+1)+`"}]}`, "larger than allowed"),
		refused("POST not JSON", "POST actions/count", "hello", "not JSON"),
		refused("POST a number", "POST actions/count", "7", "Object expected"),
		refused("POST truncated", "POST actions/count", `{"a":`, "not JSON"),
		refused("POST not UTF-8", "POST actions/count", "{\"a\":\"\xff\"}", "UTF-8"),
		refused("POST brackets without end", "POST actions/count", strings.Repeat("[", 200_000), "not JSON"),
		refused("POST blocking in words", "POST actions/count?blocking=perhaps", "{}", "blocking"),
		refused("POST a negative wait", "POST actions/count?blocking=true&timeout=-1", "{}", "Timeout"),
		refused("POST a wait in words", "POST actions/count?timeout=soon", "{}", "Timeout"),
		refused("POST a wait that overflows", "POST actions/count?timeout=99999999999999999999", "{}", "Timeout"),
		with(413, "POST too much", "POST actions/count", `{"a":"`+strings.Repeat("x", 1<<20)+`"}`, "larger than allowed"),
		refused("GET a list of a negative length", "GET actions?limit=-1", "", "limit"),
		refused("GET a list of words", "GET actions?limit=all", "", "limit"),
		refused("GET a list that is too long", "GET actions?limit=201", "", "limit"),
		refused("GET a list from a negative place", "GET actions?skip=-1", "", "skip"),
		refused("GET activations since words", "GET activations?since=yesterday", "", "since"),
		refused("GET activations of a path", "GET activations?name=a/b/c", "", "name"),
		refused("GET half an activation", "GET activations/1234", "", "32"),
		refused("GET an activation that is not hex", "GET activations/"+strings.Repeat("z", 32), "", "not valid"),
		with(404, "GET an unknown activation", "GET activations/"+strings.Repeat("0", 32), "", "does not exist"),
		refused("a trigger with an array", "POST triggers/none", "[]", "Object expected"),
		refused("a trigger that is a text", "PUT triggers/new", `"x"`, "must be an object"),
		refused("a rule of nothing", "PUT rules/new", "{}", "requires"),
		refused("a rule of what is not there", "PUT rules/new", `{"trigger":"/_/none","action":"/_/count"}`, "trigger"),
		refused("a rule of half a name", "PUT rules/new", `{"trigger":"/","action":"/_/count"}`, ""),
		refused("a rule in an odd state", "POST rules/none", `{"status":"perhaps"}`, "perhaps"),
		refused("a package with a reserved name", "PUT packages/default", "{}", "reserved"),
		refused("a package that is an array", "PUT packages/new", "[]", "must be an object"),
		cut, chunks, huge,
	}
}
