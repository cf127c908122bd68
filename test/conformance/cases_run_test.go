package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const noCollection = "The action did not return a dictionary or array."

// results are about what goes in and comes out.
func results() []testCase {
	same := func(name, value string) testCase {
		return testCase{name: "result: " + name, on: ready, do: func(t *testing.T, c *container) { c.wantResult(t, value, value) }}
	}
	give := func(name, result string) testCase {
		return testCase{name: "result: " + name, on: ready, do: func(t *testing.T, c *container) {
			c.wantResult(t, `{"do":"give","give":`+result+`}`, result)
		}}
	}
	refused := func(name, value string) testCase {
		return testCase{name: "result: " + name, on: ready, do: func(t *testing.T, c *container) { wantError(t, c.run(t, value), 502, noCollection) }}
	}
	return []testCase{
		same("an object", `{"do":"echo","nested":{"list":[1,[],{},{"a":null}],"yes":true,"no":false},"":"an empty name"}`),
		give("an empty object", `{}`),
		give("an array", `[1,"two",{"three":[3]}]`),
		give("an empty array", `[]`),
		same("unicode", `{"do":"echo","ü€":"Ünïcödé 日本語 😀 \u0000\u001f\u2028\u007f"}`),
		same("escaped unicode", `{"do":"echo","a":"\u00fc\u20ac\ud83d\ude00\/\b\f\n\r\t\\\""}`),
		same("quotes and lines in text", `{"do":"echo","a":"'\"\\'\r\n$HOME %s {} <&>"}`),
		give("an error object", `{"error":"as I like it"}`),
		give("an error of another type", `{"error":{"code":7},"more":[]}`),
		refused("a string", `{"do":"give","give":"text"}`),
		refused("a number", `{"do":"give","give":7}`),
		refused("true", `{"do":"give","give":true}`),
		refused("null", `{"do":"give","give":null}`),
		{name: "result: nothing", on: ready, do: nothing},
		{name: "result: half a surrogate pair", on: ready, do: halfPair},
		{name: "result: an exception", on: ready, do: exceptionThrown},
		{name: "input: an array", on: ready, do: func(t *testing.T, c *container) { c.wantResult(t, `[1,{"a":2}]`, `{"got":[1,{"a":2}]}`) }},
		{name: "input: an empty object", on: ready, do: func(t *testing.T, c *container) { c.wantResult(t, `{}`, `{"got":{}}`) }},
		{name: "input: null", on: ready, do: func(t *testing.T, c *container) {
			c.wantResult(t, `null`, map[string]string{"python": `{"got":null}`, "nodejs": `{"got":{}}`, "native": `{"got":null}`}[c.lang.name])
		}},
		{name: "input: no value", on: ready, do: func(t *testing.T, c *container) {
			a := c.runBytes(t, c.runBody(nil, fields{"value": nil}))
			want := map[string]string{"python": `{"got":{}}`, "nodejs": `{"got":{}}`, "native": `{"got":null}`}[c.lang.name]
			if a.status != 200 || canonical(t, a.body) != want {
				t.Errorf("the answer is %v, want %s", a, want)
			}
		}},
		{name: "input: a body that is no object", on: ready, do: noObject},
		{name: "input: space and lines in the body", on: ready, do: func(t *testing.T, c *container) {
			a := c.runBytes(t, "\r\n{ \"value\" :\n\n{\"do\":\"echo\" , \"a\":\t\"b\" } }\n\n")
			if a.status != 200 || canonical(t, a.body) != `{"a":"b","do":"echo"}` {
				t.Errorf("the answer is %v", a)
			}
		}},
		{name: "input: the function's stdin is empty", on: ready, do: func(t *testing.T, c *container) { c.wantResult(t, `{"do":"stdin"}`, `{"stdin":""}`) }},
	}
}

// nothing: a JavaScript function that returns nothing answers {}, as OpenWhisk has it.
func nothing(t *testing.T, c *container) {
	if c.lang.name == "nodejs" {
		c.wantResult(t, `{"do":"nothing"}`, `{}`)
		return
	}
	wantError(t, c.run(t, `{"do":"nothing"}`), 502, noCollection)
}

// halfPair: what is no character must stay what it is. Only the text shows it.
func halfPair(t *testing.T, c *container) {
	a := c.runBytes(t, `{"value":{"do":"echo","half":"\ud800","other":"\udc00x"}}`)
	body := strings.ToLower(strings.ReplaceAll(a.body, " ", ""))
	if a.status != 200 || !strings.Contains(body, `"half":"\ud800"`) || !strings.Contains(body, `"other":"\udc00x"`) {
		t.Errorf("the answer is %v", a)
	}
}

func exceptionThrown(t *testing.T, c *container) {
	a := c.run(t, `{"do":"fail","why":"told you: ü"}`)
	wantError(t, a, 200, "Error: told you: ü")
	if a.logs[0] != "about to fail\n" || !strings.Contains(a.logs[1], "Error: told you: ü") || strings.Contains(a.logs[1], "launcher") {
		t.Errorf("the logs are %q", a.logs)
	}
}

// noObject: no platform sends it, so it may be the function's error or the
// runtime's, but it must be one, and leave the function as it was.
func noObject(t *testing.T, c *container) {
	for _, body := range []string{"hello", "", "[]", "7"} {
		a := c.runBytes(t, body)
		var e struct{ Error string }
		if json.Unmarshal([]byte(a.body), &e); !strings.Contains(e.Error, "JSON") && !strings.Contains(e.Error, "json") {
			t.Errorf("%q was answered with %v", body, a)
		}
		c.wantResult(t, `{"do":"echo"}`, `{"do":"echo"}`)
	}
}

// sizes are about large bodies and results.
func sizes() []testCase {
	const mb = 1 << 20
	measure := func(send, want int) func(*testing.T, *container) {
		return func(t *testing.T, c *container) {
			a := c.run(t, fields{"do": "measure", "text": strings.Repeat("x", send), "want": want})
			if e := fmt.Sprintf(`{"got":%d,"text":"%s"}`, send, strings.Repeat("y", want)); a.status != 200 || a.body != e {
				t.Errorf("the answer has %d bytes: %v", len(a.body), a)
			}
		}
	}
	return []testCase{
		{name: "size: 1 MB", on: ready, do: measure(mb, mb)},
		{name: "size: 5 MB", on: ready, do: measure(5*mb, 5*mb)},
		{name: "size: a body of 20 MB, a result of 15 MB", on: ready, do: measure(20*mb, 15*mb)},
		{name: "size: a result above the limit", on: ready, do: func(t *testing.T, c *container) {
			wantError(t, c.run(t, fields{"do": "measure", "text": "", "want": 17 * mb}), 502, "limit of 16777216 bytes")
			c.wantResult(t, `{"do":"echo"}`, `{"do":"echo"}`)
		}},
		{name: "size: a body above the limit", on: ready, do: func(t *testing.T, c *container) {
			a := exchange(t, c, "POST /run HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 67108865\r\n\r\n{")
			wantError(t, a, 413, "limit is 67108864")
			c.expectGuards(t)
		}},
	}
}

// numbers are passed in and given back. Who parses them has the type of its language.
func numbers() []testCase {
	integers := `{"do":"echo","a":9007199254740993,"b":-9007199254740993,"c":12345678901234567890,"d":123456789012345678901234567890,"e":0,"f":-1,"g":9007199254740992}`
	cases := []testCase{{name: "numbers: integers of any size", on: ready, do: func(t *testing.T, c *container) { c.wantResult(t, integers, integers) }}}
	for _, n := range []struct{ in, python, nodejs, native string }{
		{"1.10", "1.1", "1.1", "1.10"},
		{"-0.0", "-0.0", "0", "-0.0"},
		{"1e2", "100.0", "100", "1e2"},
		{"0.1", "0.1", "0.1", "0.1"},
		{"5e-324", "5e-324", "5e-324", "5e-324"},
		{"1.7976931348623157e308", "1.7976931348623157e+308", "1.7976931348623157e+308", "1.7976931348623157e308"},
	} {
		cases = append(cases, testCase{name: "numbers: " + n.in, on: ready, do: func(t *testing.T, c *container) {
			want := map[string]string{"python": n.python, "nodejs": n.nodejs, "native": n.native}[c.lang.name]
			c.wantResult(t, `{"do":"echo","n":`+n.in+`}`, `{"do":"echo","n":`+want+`}`)
		}})
	}
	return append(cases, testCase{name: "numbers: 1e400", on: ready, do: tooLargeFloat})
}

// tooLargeFloat is infinite in Python and JavaScript, and JSON has no such number.
func tooLargeFloat(t *testing.T, c *container) {
	const value = `{"do":"echo","n":1e400}`
	switch c.lang.name {
	case "python":
		wantError(t, c.run(t, value), 200, "ValueError: Out of range float values are not JSON compliant")
	case "nodejs":
		c.wantResult(t, value, `{"do":"echo","n":null}`)
	default:
		c.wantResult(t, value, value)
	}
}

func count(t *testing.T, c *container) (runs int) {
	t.Helper()
	a := c.run(t, `{"do":"count"}`)
	if _, err := fmt.Sscanf(strings.ReplaceAll(a.body, " ", ""), `{"runs":%d}`, &runs); err != nil {
		t.Errorf("the count is %v: %v", a, err)
	}
	return runs
}

// deadlines are texts that may be anything.
func deadlines() []testCase {
	fine := func(name string, deadline any) testCase {
		return testCase{name: "deadline: " + name, on: ready, do: func(t *testing.T, c *container) {
			a := c.runBytes(t, c.runBody(`{"do":"echo"}`, fields{"deadline": deadline}))
			if a.status != 200 {
				t.Errorf("the answer is %v", a)
			}
		}}
	}
	return []testCase{
		fine("past", fmt.Sprint(time.Now().Add(-time.Hour).UnixMilli())),
		fine("far away", fmt.Sprint(time.Now().AddDate(150, 0, 0).UnixMilli())),
		fine("in three thousand years", "99999999999999"),
		fine("beyond all time", "99999999999999999999999999"),
		fine("negative", "-5"), fine("zero", "0"), fine("garbage", "soon"), fine("empty", ""), fine("none", nil),
		fine("a number", time.Now().Add(time.Minute).UnixMilli()),
		fine("an object", fields{"a": 1}),
	}
}
