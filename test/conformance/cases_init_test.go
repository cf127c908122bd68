package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// failingInits are those whose code cannot become ready. The language knows
// what the code is, and the words.
func failingInits() []testCase {
	var cases []testCase
	for _, name := range []string{
		"a truncated zip", "a damaged zip", "a truncated tar.gz", "an empty zip", "an archive without its entry",
		"a directory packed as a whole", "an entry that leaves the directory", "an entry with an absolute name",
		"an entry that leaves it in the middle", "a link out of the directory", "binary that is no archive",
		"an archive sent as text", "a syntax error", "a missing import", "an exception while it loads", "no such main",
		"main is no function", "it ends while it loads", "its process ends", "its process is killed", "setup fails",
		"source without #!", "an interpreter that is not there", "a script with the line ends of Windows", "an executable for another machine", "an ack that is none", "an ack that is too long",
		"an ack that refuses", "it closes its answers",
	} {
		cases = append(cases, testCase{name: "failing init: " + name, on: unborn, do: func(t *testing.T, c *container) { failingInit(t, c, name) }})
	}
	return append(cases, testCase{name: "failing init: it is never ready", on: unborn, do: neverReady})
}

func failingInit(t *testing.T, c *container, name string) {
	f, ok := c.lang.failing[name]
	if !ok {
		t.Fatal("the language has no such code, and no exception says why")
	}
	a := c.tryInit(t, c.initValue(f.code, f.more))
	if a.status == 200 && c.lang.name == "native" {
		tooSlow(t, c)
		return
	}
	wantError(t, a, 502, f.words)
	if !strings.Contains(a.logs[1], f.logs) || a.logs[0] != "" {
		t.Errorf("the logs are %q, want %q on stderr", a.logs, f.logs)
	}
}

// tooSlow: an executable counts as ready when it has lived for a second. On a
// machine where it could not even end in that time, the run says that it has.
func tooSlow(t *testing.T, c *container) {
	if a := c.run(t, `{}`); a.status != 502 {
		t.Errorf("it counts as ready, and answers %v", a)
	}
}

func neverReady(t *testing.T, c *container) {
	deadline := fmt.Sprint(time.Now().Add(2 * time.Second).UnixMilli())
	a := c.tryInit(t, c.initValue(c.lang.failing["it is never ready"].code, fields{"env": fields{"__OW_ACTION_NAME": "/guest/" + c.action(), "__OW_DEADLINE": deadline}}))
	wantError(t, a, 502, "time limit")
}

// initBodies are those of an /init that nobody could take.
func initBodies() []testCase {
	refused := func(name string, status int, words string, body func(c *container) string) testCase {
		return testCase{name: "init body: " + name, on: unborn, do: func(t *testing.T, c *container) {
			a := c.post(t, "/init", body(c))
			a.logs = c.expectGuards(t)
			wantError(t, a, status, words)
		}}
	}
	value := func(more fields) func(*container) string {
		return func(c *container) string { return fields{"value": c.initValue(c.lang.all, nil).with(more)}.String() }
	}
	constant := func(body string) func(*container) string { return func(*container) string { return body } }
	return []testCase{
		refused("no code", 403, "no code to execute", value(fields{"code": nil})),
		refused("empty code", 403, "no code to execute", value(fields{"code": ""})),
		refused("null for code", 403, "no code to execute", func(c *container) string {
			return `{"value":{"name":"f","main":"main","code":null}}`
		}),
		refused("no value", 403, "no code to execute", constant("{}")),
		refused("nothing", 400, "not JSON", constant("")),
		refused("no JSON", 400, "not JSON", constant("hello")),
		refused("no object", 400, "must be an object", constant("[]")),
		refused("broken base64", 400, "base64", value(fields{"code": "UEsDB!", "binary": true})),
		refused("half of base64", 400, "base64", value(fields{"code": "UEsDB", "binary": true})),
		refused("a main that is none", 400, "value.main", value(fields{"main": 7})),
		refused("a target that is none", 400, "@", value(fields{"main": "main@"})),
		refused("a variable with an impossible name", 400, "environment variable", value(fields{"env": fields{"A=B": "x"}})),
	}
}

// workingForms are the ways to write and to pack a function.
func workingForms() []testCase {
	var cases []testCase
	for _, name := range []string{"text", "text with the line ends of Windows", "zip", "tar.gz", "helper modules", "another main", "no main named",
		"5 MB of code", "async", "setup", "activate_this.py", "a virtualenv without activate_this.py", "package.json's main", "package.json's main without .js",
		"an ES module", "a package of ES modules", "an .mjs file", "no ack", "logs while it loads"} {
		cases = append(cases, testCase{name: "form: " + name, on: fresh, do: func(t *testing.T, c *container) { workingForm(t, c, name) }})
	}
	return cases
}

func workingForm(t *testing.T, c *container, name string) {
	f, ok := c.lang.working[name]
	if !ok {
		t.Fatal("the language has no such code, and no exception says why")
	}
	if main, ok := f.more["main"]; ok {
		f.more = f.more.with(fields{"main": main.(string) + c.m.target})
	}
	c.mustInit(t, f.code, f.more)
	for i := range 2 {
		a := c.wantResult(t, `{}`, `{"form":`+f.want+`}`)
		want := ""
		if strings.Contains(name, "logs") && i == 0 {
			want = "loading\n"
		}
		if a.logs[0] != want || a.logs[1] != "" {
			t.Errorf("run %d logged %q", i, a.logs)
		}
	}
}

// otherInits are about /init itself.
func otherInits() []testCase {
	return []testCase{
		{name: "a run before any init", on: unborn, do: func(t *testing.T, c *container) {
			wantError(t, c.run(t, `{}`), 502, "Cannot run an action before it is initialized.")
		}},
		{name: "a second init leaves the function alone", on: ready, do: secondInit},
		{name: "the main's target has needs", on: fresh, do: func(t *testing.T, c *container) {
			needs := ""
			if c.m.target != "" {
				needs = "?memory=300m&workers=2"
			}
			c.mustInit(t, text(c.lang.hello), fields{"main": "hello" + c.m.target + needs})
			c.wantResult(t, `{"a":1}`, `{"hello":{"a":1}}`)
		}},
		{name: "two inits at once", on: fresh, do: twoInits},
		{name: "an init whose deadline is no limit", on: fresh, do: func(t *testing.T, c *container) {
			c.mustInit(t, text(c.lang.hello), fields{"main": "hello" + c.m.target, "env": fields{"__OW_DEADLINE": "1000"}})
		}},
		{name: "code above the limit", on: unborn, do: func(t *testing.T, c *container) {
			body := `{"value":{"name":"f","main":"main` + c.m.target + `","code":"` + strings.Repeat("#", 48<<20+1) + `"}}`
			a := c.post(t, "/init", body)
			c.expectGuards(t)
			wantError(t, a, 413, "limit of 48 MB")
		}},
		{name: "what is sent and answered passes byte for byte", on: fresh, do: byteForByte},
		{name: "init after a failed one", on: fresh, do: func(t *testing.T, c *container) {
			wantError(t, c.tryInit(t, c.initValue(c.lang.failing["a syntax error"].code, nil)), 502, c.lang.failing["a syntax error"].words)
			c.mustInit(t, text(c.lang.hello), fields{"main": "hello" + c.m.target})
			c.wantResult(t, `{"a":1}`, `{"hello":{"a":1}}`)
		}},
		{name: "init after one that the platform hung up on", on: fresh, do: abandonedInit},
		{name: "the whole environment of the init", on: fresh, do: initEnv},
	}
}

func secondInit(t *testing.T, c *container) {
	before := count(t, c)
	for _, body := range []string{fields{"value": c.initValue(text("x"), nil)}.String(), "{"} {
		a := c.post(t, "/init", body)
		wantError(t, a, 403, "Cannot initialize the action more than once.")
	}
	if after := count(t, c); after != before+1 {
		t.Errorf("the function counts %d runs after %d", after, before)
	}
}

// abandonedInit: a platform that loses its patience with an /init may try again.
func abandonedInit(t *testing.T, c *container) {
	never := c.lang.failing["it is never ready"].code
	if c.lang.name == "native" {
		never = text("#!/bin/sh\nexec sleep 1000\n") // until it counts as ready
	}
	body := fields{"value": c.initValue(never, nil)}.String()
	conn := dial(t, c)
	fmt.Fprintf(conn, "POST /init HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	conn.Close()
	c.expectGuards(t)
	c.mustInit(t, text(c.lang.hello), fields{"main": "hello" + c.m.target})
	c.wantResult(t, `{"a":1}`, `{"hello":{"a":1}}`)
}

// twoInits: one of them is served, and the other one is a second init.
func twoInits(t *testing.T, c *container) {
	body := fields{"value": c.initValue(text(c.lang.hello), fields{"main": "hello" + c.m.target})}.String()
	statuses := make(chan int, 2)
	for range 2 {
		go func() { statuses <- c.post(t, "/init", body).status }()
	}
	if a, b := <-statuses, <-statuses; min(a, b) != 200 || max(a, b) != 403 {
		t.Errorf("they were answered with %d and %d", a, b)
	}
	c.wantResult(t, `{"a":1}`, `{"hello":{"a":1}}`)
}

// byteForByte: only who parses may change how something is written.
func byteForByte(t *testing.T, c *container) {
	c.mustInit(t, text(c.lang.hello), fields{"main": "hello" + c.m.target})
	const value = `{ "b":1.10,  "a":"\u00fc\ud800ü" ,"b":1E+2, "c":-0 }`
	if a := c.runBytes(t, `{"value":`+value+`}`); a.body != `{"hello":`+value+`}` {
		t.Errorf("%s became %v", value, a)
	}
}

func initEnv(t *testing.T, c *container) {
	want := fields{"PLAIN": "text", "EMPTY": "", "LINES": "one\ntwo\n", "QUOTES": `'a' "b" \c $HOME`, "UNICODE": "ü€😀", "EQUALS": "a=b=c",
		"NUMBER": 7, "BOOL": true, "OBJECT": fields{"a": []any{1}}}
	c.mustInit(t, c.lang.all, fields{"env": want})
	got := environment(t, c, nil)
	for name, v := range want.with(fields{"NUMBER": "7", "BOOL": "true", "OBJECT": `{"a":[1]}`}) {
		if got.Env[name] != v {
			t.Errorf("%s is %q, want %q", name, got.Env[name], v)
		}
	}
	if got.Env["__OW_API_HOST"] != "https://platform.example" {
		t.Errorf("__OW_API_HOST is %q", got.Env["__OW_API_HOST"])
	}
	if !got.Home {
		t.Errorf("the function is in %q, not where its code is", got.Cwd)
	}
	for name, v := range got.Env {
		if strings.HasPrefix(name, "WHISKAWAY_") && name != "WHISKAWAY_CACHE" && name != "WHISKAWAY_CONCURRENCY" || strings.Contains(v, "WHISKAWAY_TOKEN") {
			t.Errorf("the function sees %s", name)
		}
	}
}
