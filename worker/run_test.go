package worker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

const echoPython = "def main(args):\n    return args\n"
const echoNode = "function main(args) { return args }\n"

// echoes are functions that return what they get, by kind.
var echoes = map[string]string{kind.Python: echoPython, kind.NodeJS: echoNode}

func TestAlwaysTrue2AnswerIsWhatTheFunctionGot(t *testing.T) {
	big := `"` + strings.Repeat("0123456789abcdef", 100_000) + `"` // 1.6 MB
	for name, code := range echoes {
		t.Run(name, func(t *testing.T) {
			w := start(t, name, code)
			for _, v := range []string{
				`{}`, `[]`, `{"a":1}`, `[1,"two",null,true,{"b":[]}]`,
				`{"text":"grüße, 世界, 🎉","line":"a\nb\u0000c"}`,
				`{"n":12345678901234567890,"m":-98765432109876543210,"list":[9007199254740993]}`,
				`{"text":"12345678901234567890 is no number","f":0.1}`,
				`{"big":` + big + `,"n":12345678901234567890}`,
				`{"half":"\ud83d"}`,
			} {
				out, sum := run(t, w, value(v))
				wantOutcome(t, sum, function.OutcomeOK, "")
				want(t, "result", out.result(), v)
			}
			if w.Runs() != 9 {
				t.Errorf("%d runs were counted", w.Runs())
			}
		})
	}
}

func TestFieldsBecomeVariablesForThatRunOnly(t *testing.T) {
	for name, code := range map[string]string{
		kind.Python: "import os\ndef main(args):\n    return {k: v for k, v in sorted(os.environ.items()) if k.startswith('__OW_') and k != '__OW_WAIT_FOR_ACK'}\n",
		kind.NodeJS: "exports.main = () => Object.fromEntries(Object.entries(process.env).filter(([k]) => k.startsWith('__OW_') && k !== '__OW_WAIT_FOR_ACK').sort())",
	} {
		for _, concurrency := range []int{1, 4} {
			t.Run(fmt.Sprint(name, concurrency), func(t *testing.T) {
				w := start(t, name, code, func(c *worker.Config) { c.Concurrency = concurrency })
				out, _ := run(t, w, `{"value":{},"activation_id":"a1","api_key":"k","deadline":"123","object":{"a":[1]}}`)
				want(t, "first", out.result(), `{"__OW_ACTIVATION_ID":"a1","__OW_API_KEY":"k","__OW_DEADLINE":"123","__OW_OBJECT":"{\"a\":[1]}"}`)
				out, _ = run(t, w, `{"value":{},"activation_id":"a2"}`)
				want(t, "second", out.result(), `{"__OW_ACTIVATION_ID":"a2"}`)
				for _, c := range [][2]string{ // the fields that stay the same, those that change, and those that do not look so
					{`"a":"1","b":"2"`, `{"__OW_A":"1","__OW_B":"2"}`},
					{`"a":"1","b":"3"`, `{"__OW_A":"1","__OW_B":"3"}`},
					{`"b":"3","a":1`, `{"__OW_A":"1","__OW_B":"3"}`},
					{`"a":true,"b":"3"`, `{"__OW_A":"true","__OW_B":"3"}`},
					{`"a":"x","A":"y"`, `{"__OW_A":"y"}`},
					{`"a":"z","A":"y"`, `{"__OW_A":"y"}`},
					{`"b":"3"`, `{"__OW_B":"3"}`},
				} {
					out, _ = run(t, w, `{"value":{},`+c[0]+`}`)
					want(t, c[0], out.result(), c[1])
				}
				out, _ = run(t, w, " {} ")
				want(t, "without fields", out.result(), `{}`)
			})
		}
	}
}

func TestResultsAndErrors(t *testing.T) {
	for _, c := range []struct{ name, kind, code, result, stderr string }{
		{"python exception", kind.Python, "def main(a):\n    raise ValueError('no')\n", `{"error":"ValueError: no"}`, "main__.py\", line 2, in main"},
		{"python not json", kind.Python, "def main(a):\n    return {'a': {1, 2}}\n", `{"error":"TypeError: Object of type set is not JSON serializable"}`, "TypeError"},
		{"python nan", kind.Python, "def main(a):\n    return {'a': float('nan')}\n", `{"error":"ValueError: Out of range float values are not JSON compliant"}`, "ValueError"},
		{"python circle", kind.Python, "def main(a):\n    a['a'] = a\n    return a\n", `{"error":"ValueError: Circular reference detected"}`, "ValueError"},
		{"python shared, no circle", kind.Python, "def main(a):\n    b = [1]\n    return {'a': b, 'b': [b, b]}\n", `{"a":[1],"b":[[1],[1]]}`, ""},
		{"python kinds of keys", kind.Python, "def main(a):\n    return {2: 1.5, None: 'é', True: [], 'big': 2**70}\n", `{"2":1.5,"null":"é","true":[],"big":1180591620717411303424}`, ""},
		{"python none", kind.Python, "def main(a):\n    pass\n", `null`, ""},
		{"python tuple", kind.Python, "def main(a):\n    return 1, 2\n", `[1,2]`, ""},
		{"python async", kind.Python, "import asyncio\nasync def main(a):\n    await asyncio.sleep(0)\n    return {'a': 1}\n", `{"a":1}`, ""},
		{"python generator", kind.Python, "def main(a):\n    yield 1\n    yield {'b': 2}\n", `1|{"b":2}`, ""},
		{"python async generator", kind.Python, "async def main(a):\n    yield 1\n    yield 2\n", `1|2`, ""},
		{"python generator returns", kind.Python, "def main(a):\n    yield 1\n    return {'b': 2}\n", `1|{"result":{"b":2}}`, ""},
		{"python generator returns none", kind.Python, "def main(a):\n    yield 1\n    return None\n", `1`, ""},
		{"python generator of no item", kind.Python, "def main(a):\n    return iter([])\n", ``, ""},
		{"python async generator fails", kind.Python, "async def main(a):\n    yield 1\n    raise KeyError(2)\n", `1|{"error":"KeyError: 2"}`, "KeyError"},
		{"python generator returns no JSON", kind.Python, "def main(a):\n    yield 1\n    return {1, 2}\n", `1|{"error":"TypeError: Object of type set is not JSON serializable"}`, "set"},
		{"python generator fails", kind.Python, "def main(a):\n    yield 1\n    raise KeyError(2)\n", `1|{"error":"KeyError: 2"}`, "KeyError"},
		{"node exception", kind.NodeJS, "function main() { throw new TypeError('no') }", `{"error":"TypeError: no"}`, "index.cjs:1"},
		{"node rejection", kind.NodeJS, "const main = () => Promise.reject({code: 5})", `{"error":{"code":5}}`, "code: 5"},
		{"node undefined", kind.NodeJS, "function main() {}", `{}`, ""},
		{"node number", kind.NodeJS, "function main() { return 1 }", `1`, ""},
		{"node function", kind.NodeJS, "function main() { return () => 1 }", `null`, ""},
		{"node async", kind.NodeJS, "exports.main = async () => ({ a: 1n })", `{"a":1}`, ""},
		{"node module", kind.NodeJS, "import path from 'node:path'\nexport function main() { return { a: path.join('a', 'b') } }", `{"a":"a/b"}`, ""},
		{"node default export", kind.NodeJS, "export default () => [1]", `[1]`, ""},
		{"node require", kind.NodeJS, "const os = require('os')\nfunction main() { return { a: typeof os.EOL } } // end", `{"a":"string"}`, ""},
		{"node generator", kind.NodeJS, "function * main() { yield 1; yield { b: 2 } }", `1|{"b":2}`, ""},
		{"node generator returns", kind.NodeJS, "function * main() { yield 1; return { b: 2 } }", `1|{"result":{"b":2}}`, ""},
		{"node generator of promises", kind.NodeJS, "function * main() { yield Promise.resolve(1); yield Promise.reject(new Error('no')) }", `1|{"error":"Error: no"}`, "no"},
		{"node async generator returns", kind.NodeJS, "exports.main = async function * () { yield 1; return [2] }", `1|{"result":[2]}`, ""},
		{"node generator of no JSON", kind.NodeJS, "function * main() { try { const a = {}; a.a = a; yield a } finally { console.error('closed') } }", `{"error":"TypeError: Converting circular structure to JSON\n    --> starting at object with constructor 'Object'\n    --- property 'a' closes the circle"}`, "closed"},
		{"node async generator", kind.NodeJS, "exports.main = async function * () { yield 1; throw new Error('end') }", `1|{"error":"Error: end"}`, "Error: end"},
	} {
		for _, concurrency := range []int{1, 3} {
			t.Run(fmt.Sprint(c.name, concurrency), func(t *testing.T) {
				w := start(t, c.kind, c.code, func(cfg *worker.Config) { cfg.Concurrency = concurrency })
				out, sum := run(t, w, value(`{}`))
				wantOutcome(t, sum, function.OutcomeOK, "")
				want(t, "result", out.result(), c.result)
				if sum.Stream != strings.Contains(c.name, "generator") {
					t.Errorf("stream is %v", sum.Stream)
				}
				if !strings.Contains(out.stderr.String(), c.stderr) || strings.Contains(out.stderr.String(), "launcher") {
					t.Errorf("stderr: %q", out.stderr.String())
				}
			})
		}
	}
}

func TestResultLimit(t *testing.T) {
	for name, code := range map[string]string{kind.Python: echoPython, kind.NodeJS: echoNode, kind.Native: lineEcho} {
		t.Run(name, func(t *testing.T) {
			w := start(t, name, code, func(c *worker.Config) { c.ResultLimit = 100_000 })
			_, sum := run(t, w, value(`{"a":"`+strings.Repeat("x", 200_000)+`"}`))
			wantOutcome(t, sum, function.OutcomeTooLarge, "larger than the limit of 100000 bytes")
			out, sum := run(t, w, value(`{"a":1}`))
			wantOutcome(t, sum, function.OutcomeOK, "")
			if !strings.Contains(out.result(), `{"a":1}`) {
				t.Errorf("result: %q", out.result())
			}
		})
	}
}
