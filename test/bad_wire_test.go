package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// What nobody understands is refused by every endpoint of the wire, with words,
// and costs nobody else anything.
func TestBrokenRequestsAreRefusedAndHarmNothing(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		dir := t.TempDir()
		p := start(t, nil, nil, "server", "--listen", "127.0.0.1:0", "--token", testToken, "--label", "box", "--data", dir)
		v := newVictim(t, p.waitFor(`listening on (\S+)`), testToken, "guest")
		refusesAll(t, v, p, dir)
	})
	t.Run("balancer", func(t *testing.T) {
		dir, serverDir := t.TempDir(), t.TempDir()
		p := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
		url := p.waitFor(`balancer listening on (\S+)`)
		server := start(t, nil, nil, "server", "--balancer", url, "--token", readToken(t, dir, "join"), "--label", "box", "--data", serverDir)
		server.waitFor("joined")
		v := newVictim(t, url, secretOf(readToken(t, dir, "admin")), "guest")
		refusesAll(t, v, p, dir, serverDir)
		join := secretOf(readToken(t, dir, "join"))
		for _, c := range brokenJoins(join) {
			t.Run("POST join/"+c.name, func(t *testing.T) {
				c.wantRefusal(t, exchange(t, url, c.bytes(v.head()), c.cut), dir, join)
				v.unharmed(t)
			})
		}
	})
}

// secretOf returns what is sent of a token.
func secretOf(token string) string {
	secret, _, _ := strings.Cut(token, "~")
	return secret
}

func refusesAll(t *testing.T, v *victim, p *process, dirs ...string) {
	secrets := append(dirs, v.secret, v.lease)
	for _, group := range []struct {
		name  string
		cases []badCase
	}{
		{"not HTTP", notHTTP()}, {"paths and methods", brokenPaths()}, {"headers", brokenHeaders(v)},
		{"PUT code", brokenCode()}, {"POST init", brokenInits(v)}, {"POST run", brokenRuns(v)}, {"POST renew and stop", brokenLeases(v)},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					got := exchange(t, v.url, c.bytes(v.head()), c.cut)
					c.wantRefusal(t, got, secrets...)
					if c.code != "" && got.header.Get("Whiskaway-Started") != "no" {
						t.Error("it does not say that nothing was started")
					}
					v.unharmed(t)
				})
			}
		})
	}
	t.Run("POST run/a slow body", func(t *testing.T) {
		head := "POST /run HTTP/1.1\r\n" + strings.Join(v.head(), "\r\n") + "\r\n"
		slowly(t, v.url, head, `{"value":{"filler":"`+strings.Repeat("x", 100)+`"}}`, func() { v.unharmed(t) })
		v.n++ // the slow one ran too
		v.unharmed(t)
	})
	for name, body := range map[string]string{"no JSON": "hello", "half of it": `{"value":`, "not UTF-8": "{\"value\":{\"a\":\"\xff\"}", "brackets": strings.Repeat("[", 200_000), "nothing": ""} {
		t.Run("POST run/a body for the function that is "+name, func(t *testing.T) {
			// Nobody on the way reads it, so it is the function's side that refuses it.
			c := badCase{line: "POST /run", body: body, status: 200, words: `"error"`}
			c.wantRefusal(t, exchange(t, v.url, c.bytes(v.head()), false), secrets...)
			v.unharmed(t)
		})
	}
	if strings.Contains(p.log(), "panic") {
		t.Error("something panicked")
	}
}

// notHTTP is for the HTTP library, which answers in words of its own.
func notHTTP() []badCase {
	const host = "Host: x\r\nConnection: close\r\n"
	return []badCase{
		{name: "another language", raw: "EHLO example.com\r\n\r\n", status: 400},
		{name: "a TLS hello", raw: "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03\r\n\r\n", status: 400},
		{name: "no version", raw: "POST /run\r\n" + host + "\r\n", status: 400},
		{name: "a version of the future", raw: "POST /run HTTP/9.1\r\n" + host + "\r\n", status: 505},
		{name: "no host", raw: "POST /run HTTP/1.1\r\nConnection: close\r\n\r\n", status: 400},
		{name: "two hosts", raw: "POST /run HTTP/1.1\r\nHost: y\r\n" + host + "\r\n", status: 400},
		{name: "headers above 1 MB", raw: "POST /run HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", status: 431},
		{name: "a space in a header's name", raw: "POST /run HTTP/1.1\r\n" + host + "X y: z\r\n\r\n", status: 400},
		{name: "a control character in a header", raw: "POST /run HTTP/1.1\r\n" + host + "Whiskaway-Lease: a\x01b\r\n\r\n", status: 400},
		{name: "two lengths", raw: "POST /run HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", status: 400},
		{name: "a negative length", raw: "POST /run HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", status: 400},
		{name: "a length without end", raw: "POST /run HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", status: 400},
		{name: "an encoding that nobody knows", raw: "POST /run HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", status: 501},
		{name: "a path with a broken escape", raw: "POST /%zz HTTP/1.1\r\n" + host + "\r\n", status: 400},
	}
}

func brokenPaths() []badCase {
	digest := strings.Repeat("0", 64)
	return []badCase{
		{name: "nothing there", line: "GET /", status: 404, code: "bad_request", words: "nothing at /"},
		{name: "a slash too many", line: "POST /run/", status: 404, code: "bad_request", words: "/run/"},
		{name: "two slashes", line: "POST //run", status: 404, code: "bad_request"},
		{name: "up and down", line: "POST /code/../run", status: 405, code: "bad_request", words: "PUT"},
		{name: "upper case", line: "POST /RUN", status: 404, code: "bad_request"},
		{name: "bytes that are no text", line: "POST /%ff%fe", status: 404, code: "bad_request"},
		{name: "markup", line: "POST /%3Cscript%3E", status: 404, code: "bad_request", words: `\u003cscript\u003e`},
		{name: "GET run", line: "GET /run", status: 405, code: "bad_request", words: "/run wants POST, not GET"},
		{name: "GET code", line: "GET /code/" + digest, status: 405, code: "bad_request", words: "wants PUT"},
		{name: "DELETE init", line: "DELETE /init", status: 405, code: "bad_request", words: "wants POST"},
		{name: "POST status", line: "POST /status", status: 405, code: "bad_request", words: "wants GET"},
		{name: "PUT healthz", line: "PUT /healthz", body: "x", status: 405, code: "bad_request", words: "wants GET"},
		{name: "a method that nobody knows", line: "FROBNICATE /stop", status: 405, code: "bad_request", words: "FROBNICATE"},
	}
}

func brokenHeaders(v *victim) []badCase {
	id := v.id.String()
	refused := func(name, change, words string) badCase {
		return badCase{name: name, line: "POST /run", head: []string{change}, body: "{}", status: 400, code: "bad_request", words: words}
	}
	return []badCase{
		refused("a later version", "Whiskaway-Version: 2.0", "must be updated"),
		refused("a version in words", "Whiskaway-Version: one", "not a version"),
		refused("a negative version", "Whiskaway-Version: -1.0", "not a version"),
		refused("a version without end", "Whiskaway-Version: "+strings.Repeat("9", 300), "not a version"),
		refused("two versions", "+Whiskaway-Version: 2.0", "Whiskaway-Version"),
		refused("no function", "-Whiskaway-Function", "Whiskaway-Function is missing"),
		refused("two functions", "+Whiskaway-Function: "+strings.Repeat("0", 64), "Whiskaway-Function"),
		refused("a short function", "Whiskaway-Function: "+id[:63], "64 hex digits, this has 63"),
		refused("a long function", "Whiskaway-Function: "+id+"0", "64 hex digits, this has 65"),
		refused("a very long function", "Whiskaway-Function: "+strings.Repeat("0", 500_000), "64 hex digits, this has 500000"),
		refused("a function that is not hex", "Whiskaway-Function: "+id[:63]+"g", "hex digits only"),
		refused("a function that is not UTF-8", "Whiskaway-Function: "+id[:63]+"\xff", "hex digits only"),
		refused("no lease", "-Whiskaway-Lease", "Whiskaway-Lease is missing"),
		refused("an empty lease", "Whiskaway-Lease:", "Whiskaway-Lease is missing"),
		refused("two leases", "+Whiskaway-Lease: x", "Whiskaway-Lease"),
		refused("a huge lease", "Whiskaway-Lease: "+strings.Repeat("x", 500_000), "lease"),
		refused("a lease that is not UTF-8", "Whiskaway-Lease: \xc3\x28", "lease"),
		refused("two namespaces", "+Whiskaway-Namespace: other", "Whiskaway-Namespace"),
		refused("two tokens", "+Authorization: Bearer "+v.secret, "Authorization"),
		refused("a negative time", "Whiskaway-Timeout: -1", "not a number of milliseconds"),
		refused("a time in words", "Whiskaway-Timeout: soon", "not a number of milliseconds"),
		refused("half a millisecond", "Whiskaway-Timeout: 0.5", "not a number of milliseconds"),
		refused("a time in hex", "Whiskaway-Timeout: 0x10", "not a number of milliseconds"),
		refused("a time beyond 64 bits", "Whiskaway-Timeout: 99999999999999999999", "not a number of milliseconds"),
		refused("a time that overflows", "Whiskaway-Timeout: 9223372036854775807", "not a number of milliseconds"),
		refused("two times", "+Whiskaway-Timeout: 1\r\nWhiskaway-Timeout: 2", "Whiskaway-Timeout"),
		{name: "an unknown function", line: "POST /run", head: []string{"Whiskaway-Function: " + strings.Repeat("0", 64)}, status: 404, code: "unknown_function"},
		{name: "an unknown lease", line: "POST /run", head: []string{"Whiskaway-Lease: x"}, status: 404, code: "unknown_function"},
		{name: "another namespace", line: "POST /run", head: []string{"Whiskaway-Namespace: other"}, status: 404, code: "unknown_function"},
	}
}

func brokenCode() []badCase {
	of := func(code string) string { return "PUT /code/" + function.DigestOf([]byte(code)).String() }
	zeros := strings.Repeat("0", 64)
	refused := func(name, line, body, words string) badCase {
		return badCase{name: name, line: line, body: body, status: 400, code: "bad_request", words: words}
	}
	cut := refused("cut in the middle", of("whole code"), "whole", "ended early")
	cut.head, cut.cut = []string{"Content-Length: 10"}, true
	chunks := refused("chunks without sizes", of("x"), "hello\r\n", "ended early")
	chunks.head = []string{"Transfer-Encoding: chunked"}
	cutChunks := refused("chunks without end", of("whole"), "5\r\nwhole\r\n", "ended early")
	cutChunks.head, cutChunks.cut = []string{"Transfer-Encoding: chunked"}, true
	short := refused("shorter than the code", of("whole"), "whole", "SHA-256")
	short.head = []string{"Content-Length: 4"}
	anonymous := refused("no namespace", of("x"), "x", "Whiskaway-Namespace is missing")
	anonymous.head = []string{"-Whiskaway-Namespace"}
	return []badCase{
		refused("other bytes", of("x"), "y", "SHA-256"),
		refused("no bytes", of("x"), "", "SHA-256"),
		refused("no digest", "PUT /code/", "x", "64 hex digits, this has 0"),
		refused("half a digest", "PUT /code/"+zeros[:32], "x", "64 hex digits, this has 32"),
		refused("more than a digest", "PUT /code/"+zeros+"/x", "x", "64 hex digits"),
		refused("a digest that is not hex", "PUT /code/"+zeros[:63]+"x", "x", "hex digits only"),
		refused("a path for a digest", "PUT /code/..%2f..%2fetc%2fpasswd", "x", "64 hex digits"),
		cut, chunks, cutChunks, short, anonymous,
	}
}

func brokenRuns(v *victim) []badCase {
	refused := func(name, length, body, words string) badCase {
		return badCase{name: name, line: "POST /run", head: []string{length}, body: body, cut: true, status: 400, code: "bad_request", words: words}
	}
	huge := refused("more than anybody keeps", "Content-Length: 99999999999", "{", "limit")
	huge.status, huge.code = 413, "too_large"
	return []badCase{
		refused("less than was announced", "Content-Length: 100", "{}", "ended early"),
		refused("a body that never comes", "Content-Length: 2", "", "ended early"),
		refused("chunks without sizes", "Transfer-Encoding: chunked", "{}\r\n\r\n", "ended early"),
		refused("chunks without end", "Transfer-Encoding: chunked", "2\r\n{}\r\n", "ended early"),
		refused("a chunk of a size that overflows", "Transfer-Encoding: chunked", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n", "ended early"),
		huge,
	}
}

func brokenLeases(v *victim) []badCase {
	refused := func(name, line, change, words string) badCase {
		return badCase{name: name, line: line, head: []string{change}, status: 400, code: "bad_request", words: words}
	}
	unknown := func(name, change string) badCase {
		return badCase{name: name, line: "POST /renew", head: []string{change}, status: 404, code: "unknown_function"}
	}
	return []badCase{
		unknown("renew an unknown function", "Whiskaway-Function: "+strings.Repeat("1", 64)),
		unknown("renew an unknown lease", "Whiskaway-Lease: "+strings.Repeat("1", 32)),
		unknown("renew for another namespace", "Whiskaway-Namespace: other"),
		refused("renew without a function", "POST /renew", "-Whiskaway-Function", "is missing"),
		refused("renew for a negative time", "POST /renew", "Whiskaway-Ttl: -5", "not a number of milliseconds"),
		refused("renew for a time in words", "POST /renew", "Whiskaway-Ttl: for ever", "not a number of milliseconds"),
		refused("renew for a time that overflows", "POST /renew", "Whiskaway-Ttl: 9223372036854775807", "not a number of milliseconds"),
		refused("stop without a lease", "POST /stop", "-Whiskaway-Lease", "is missing"),
		refused("stop half a function", "POST /stop", "Whiskaway-Function: "+v.id.String()[:32], "64 hex digits"),
		refused("stop a huge lease", "POST /stop", "Whiskaway-Lease: "+strings.Repeat("x", 100_000), "lease"),
		refused("stop two leases", "POST /stop", "+Whiskaway-Lease: x", "Whiskaway-Lease"),
	}
}

func brokenJoins(secret string) []badCase {
	refused := func(name string, words string, head ...string) badCase {
		head = append([]string{"Authorization: Bearer " + secret}, head...)
		return badCase{name: name, line: "POST /join", head: head, status: 400, code: "bad_request", words: words}
	}
	const upgrade = "Upgrade: whiskaway"
	return []badCase{
		refused("no upgrade", "Upgrade"),
		refused("another upgrade", "Upgrade", "Upgrade: websocket"),
		refused("no name", "Whiskaway-Name", upgrade, "Whiskaway-Server: s", "Whiskaway-Session: x"),
		refused("a name with a broken escape", "Whiskaway-Name", upgrade, "Whiskaway-Server: s", "Whiskaway-Name: %zz", "Whiskaway-Session: x"),
		refused("a huge server id", "256 bytes", upgrade, "Whiskaway-Server: "+strings.Repeat("s", 100_000), "Whiskaway-Name: n", "Whiskaway-Session: x"),
	}
}

// brokenInits are bodies of POST /init. Most are the good one with one change.
func brokenInits(v *victim) []badCase {
	good, _ := json.Marshal(map[string]any{"spec": v.spec, "lease": map[string]any{"id": "another", "ttl_ms": 60_000}})
	refused := func(name, body, words string) badCase {
		return badCase{name: name, line: "POST /init", body: body, status: 400, code: "bad_request", words: words}
	}
	cases := []badCase{
		refused("empty", "", "as JSON"),
		refused("not JSON", "hello", "as JSON"),
		refused("null", "null", "namespace is missing"),
		refused("an array", "[]", "as JSON"),
		refused("truncated", string(good[:len(good)/2]), "as JSON"),
		refused("something behind it", string(good)+"{}", "as JSON"),
		refused("not UTF-8", strings.Replace(string(good), "count", "c\xffunt", 1), "UTF-8"),
		refused("nested without end", strings.Repeat(`{"spec":`, 200_000), "as JSON"),
		refused("brackets without end", `{"spec":`+strings.Repeat("[", 200_000), "as JSON"),
		refused("the spec is a list", `{"spec":[]}`, "as JSON"),
		refused("the lease is a text", strings.Replace(string(good), `"lease":{`, `"lease":"x","l":{`, 1), "as JSON"),
		refused("a bad time", string(good), "not a number of milliseconds"),
		{name: "above the limit", line: "POST /init", body: `{"spec":{"env":{"A":"` + strings.Repeat("x", 9<<20) + `"}}}`, status: 413, code: "too_large", words: "more than"},
		{name: "cut", line: "POST /init", head: []string{"Content-Length: 10000"}, body: string(good), cut: true, status: 400, code: "bad_request"},
		{name: "code that is not here", line: "POST /init", body: with(good, "spec.code", strings.Repeat("0", 64)), status: 412, code: "code_missing", words: "upload it first"},
		{name: "a kind that is not here", line: "POST /init", body: with(good, "spec.kind", "cobol:60"), status: 503, code: "no_capacity", words: "cobol:60"},
		{name: "a label that is not here", line: "POST /init", body: with(good, "spec.require", map[string]any{"labels": []string{"moon"}}), status: 503, code: "no_capacity", words: "moon"},
	}
	cases[11].head = []string{"Whiskaway-Timeout: -1"}
	for _, f := range []struct {
		field string
		value any
		words string
	}{
		{"spec.namespace", "", "namespace is missing"}, {"spec.namespace", 7, "as JSON"}, {"spec.namespace", "a\x00b", "zero byte"},
		{"spec.namespace", strings.Repeat("n", 5000), "namespace"}, {"spec.namespace", "a\r\nWhiskaway-Lease: x", "namespace"},
		{"spec.action", nil, "action is missing"}, {"spec.action", []string{"a"}, "as JSON"}, {"spec.action", "\x00", "zero byte"}, {"spec.action", strings.Repeat("a", 5000), "action"},
		{"spec.kind", "", "kind is missing"}, {"spec.kind", strings.Repeat("k", 5000), "kind"}, {"spec.main", "", "main is missing"}, {"spec.main", "m\x00", "zero byte"}, {"spec.main", strings.Repeat("m", 5000), "main"},
		{"spec.code", "", "64 hex digits"}, {"spec.code", "abc", "64 hex digits, this has 3"}, {"spec.code", strings.Repeat("x", 64), "hex digits only"}, {"spec.code", 1, "as JSON"}, {"spec.code", strings.Repeat("0", 100_000), "64 hex digits"},
		{"spec.binary", "yes", "as JSON"}, {"spec.apiHost", "h\x00", "zero byte"}, {"spec.apiHost", strings.Repeat("h", 5000), "apiHost"},
		{"spec.env", []string{"A=b"}, "as JSON"}, {"spec.env", map[string]any{"A": 1}, "as JSON"}, {"spec.env", map[string]any{"": "x"}, "environment variable"},
		{"spec.env", map[string]any{"A=B": "x"}, "environment variable"}, {"spec.env", map[string]any{"A": "x\x00"}, "environment variable"}, {"spec.env", map[string]any{"__OW_API_KEY": "x"}, "platform's own"},
		{"spec.require", "much", "as JSON"}, {"spec.require", map[string]any{"memory": -1}, "memory"}, {"spec.require", map[string]any{"memory": 0.5}, "as JSON"},
		{"spec.require", map[string]any{"memory": json.Number("1e400")}, "as JSON"}, {"spec.require", map[string]any{"gpus": -1}, "gpu"}, {"spec.require", map[string]any{"gpuMemory": -1}, "gpu-memory"},
		{"spec.require", map[string]any{"workers": -1}, "workers"}, {"spec.require", map[string]any{"workers": 1 << 40}, "workers"}, {"spec.require", map[string]any{"warm": -1}, "warm"},
		{"spec.require", map[string]any{"concurrency": 1_000_000}, "concurrency"}, {"spec.require", map[string]any{"labels": "gpu"}, "as JSON"},
		{"spec.require", map[string]any{"labels": []string{"b", "a"}}, "sorted"}, {"spec.require", map[string]any{"labels": []string{"a", "a"}}, "labels"},
		{"spec.require", map[string]any{"labels": []string{""}}, "label"}, {"spec.require", map[string]any{"labels": []string{"two words"}}, "label"}, {"spec.require", map[string]any{"labels": []string{strings.Repeat("l", 200)}}, "label"},
		{"lease", nil, "lease"}, {"lease.id", "", "lease"}, {"lease.id", 7, "as JSON"}, {"lease.id", strings.Repeat("l", 100_000), "lease"}, {"lease.id", "a\r\nb", "lease"}, {"lease.id", "ü", "lease"},
		{"lease.ttl_ms", -1, "lease"}, {"lease.ttl_ms", "long", "as JSON"}, {"lease.ttl_ms", json.Number("1e30"), "as JSON"}, {"lease.ttl_ms", json.Number("9223372036854775807"), "lease"},
	} {
		text := fmt.Sprintf("%#v", f.value)
		cases = append(cases, refused(f.field+" is "+text[:min(len(text), 50)], with(good, f.field, f.value), f.words))
	}
	return cases
}

// with returns the JSON object good with the field at the dotted path changed.
func with(good []byte, path string, value any) string {
	var object map[string]any
	json.Unmarshal(good, &object)
	at, keys := object, strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		child, _ := at[key].(map[string]any)
		child = maps.Clone(child)
		at[key] = child
		at = child
	}
	at[keys[len(keys)-1]] = value
	text, _ := json.Marshal(object)
	return string(text)
}
