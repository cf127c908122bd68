package worker_test

import (
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

func TestSetupIsCalledOnceBeforeTheFirstRun(t *testing.T) {
	for i, c := range []struct{ name, kind, code, result, logs string }{
		{"python", kind.Python, "n = 0\ndef setup():\n    global n\n    n += 1\n    print('setting up')\ndef main(a):\n    return [n]\n", `[1]`, "setting up\n"},
		{"python async", kind.Python, "import asyncio\nn = 0\nasync def setup():\n    global n\n    await asyncio.sleep(0)\n    n += 1\n    print('setting up')\ndef main(a):\n    return [n]\n", `[1]`, "setting up\n"},
		{"python not callable", kind.Python, "setup = {'a': 1}\ndef main(a):\n    return [0]\n", `[0]`, ""},
		{"python helper", kind.Python, "def setup(n):\n    return n + 1\ndef main(a):\n    return [setup(1)]\n", `[2]`, ""},
		{"node", kind.NodeJS, "let n = 0\nfunction setup() { n++; console.log('setting up') }\nfunction main() { return [n] }\n", `[1]`, "setting up\n"},
		{"node export", kind.NodeJS, "let n = 0\nexports.setup = async () => { await null; n++; console.log('setting up') }\nexports.main = () => [n]\n", `[1]`, "setting up\n"},
		{"node module", kind.NodeJS, "let n = 0\nexport async function setup() { n++; console.log('setting up') }\nexport function main() { return [n] }\n", `[1]`, "setting up\n"},
		{"node not callable", kind.NodeJS, "exports.setup = 5\nexports.main = () => [0]\n", `[0]`, ""},
		{"node helper", kind.NodeJS, "function setup(n) { return n + 1 }\nfunction main() { return [setup(1)] }\n", `[2]`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, c.kind, c.code, concurrency(1+i%2))
			for _, logs := range []string{c.logs, ""} {
				out, sum := run(t, w, value(`{}`))
				wantOutcome(t, sum, function.OutcomeOK, "")
				want(t, "result", out.result(), c.result)
				want(t, "stdout", out.stdout.String(), logs)
			}
			if w.StartTook() <= 0 {
				t.Errorf("the start took %v", w.StartTook())
			}
		})
	}
}

// Where setup is what the action calls, it is not called before.
func TestMainThatIsCalledSetupIsNotCalledAsSetup(t *testing.T) {
	for name, code := range map[string]string{
		kind.Python: "n = 0\ndef setup(a=None):\n    global n\n    n += 1\n    return [n]\n",
		kind.NodeJS: "let n = 0\nfunction setup() { return [++n] }\n",
	} {
		t.Run(name, func(t *testing.T) {
			out, sum := run(t, startMain(t, name, "setup", code), value(`{}`))
			wantOutcome(t, sum, function.OutcomeOK, "")
			want(t, "result", out.result(), `[1]`)
		})
	}
}

func TestSetupThatFailsFailsTheStart(t *testing.T) {
	for _, c := range []struct{ name, kind, code, message, logs string }{
		{"python", kind.Python, "def setup():\n    raise ValueError('no weights')\ndef main(a): pass\n", "setup: ValueError: no weights", "line 2, in setup"},
		{"python exit", kind.Python, "import sys\ndef setup():\n    sys.exit(3)\ndef main(a): pass\n", "setup: SystemExit: 3; the code ends its process while it is loaded", "line 3, in setup"},
		{"python async", kind.Python, "async def setup():\n    raise ValueError('no weights')\ndef main(a): pass\n", "setup: ValueError: no weights", "line 2, in setup"},
		{"node", kind.NodeJS, "function setup() { throw new Error('no weights') }\nfunction main() {}\n", "setup: Error: no weights", "index.cjs:1"},
		{"node async", kind.NodeJS, "exports.setup = async () => { throw new Error('no weights') }\nexports.main = () => {}\n", "setup: Error: no weights", "index.cjs:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := tryStart(t, c.kind, c.code)
			if err == nil {
				w.Stop()
				t.Fatal("it started")
			}
			e := function.AsError(err)
			if e.Code != function.CodeInitFailed || e.Message != c.message {
				t.Errorf("got %s, %q; want %q", e.Code, e.Message, c.message)
			}
			if !strings.Contains(e.Logs, c.logs) || strings.Contains(e.Logs, "launcher") {
				t.Errorf("logs: %q", e.Logs)
			}
		})
	}
}
