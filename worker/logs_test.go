package worker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

const chattyPython = `
import subprocess, sys
print("loading")
def main(args):
    n = args["n"]
    for i in range(n):
        print("line", i)
        if i % 50 == 0:
            subprocess.run(["sh", "-c", "echo from sh $0", str(i)])
    print("no line end", end="")
    sys.stderr.write("err %d" % n)
    return {"n": n}
`

const chattyNode = `
const { execFileSync } = require('child_process')
console.log('loading')
exports.main = ({ n }) => {
  for (let i = 0; i < n; i++) {
    console.log('line', i)
    if (i % 50 === 0) execFileSync('sh', ['-c', 'echo from sh $0', String(i)], { stdio: 'inherit' })
  }
  process.stdout.write('no line end')
  process.stderr.write('err ' + n)
  return { n }
}
`

func chatter(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, "line", i)
		if i%50 == 0 {
			fmt.Fprintln(&b, "from sh", i)
		}
	}
	return b.String() + "no line end"
}

func TestAlwaysTrue3LogsAreWholeInOrderAndTheRunsOwn(t *testing.T) {
	for name, code := range map[string]string{kind.Python: chattyPython, kind.NodeJS: chattyNode} {
		t.Run(name, func(t *testing.T) {
			w := start(t, name, code)
			before := "loading\n"
			for _, n := range []int{1, 0, 120, 2, 300} {
				out, sum := run(t, w, value(fmt.Sprintf(`{"n":%d}`, n)))
				wantOutcome(t, sum, function.OutcomeOK, "")
				want(t, "stdout", out.stdout.String(), before+chatter(n))
				want(t, "stderr", out.stderr.String(), fmt.Sprintf("err %d", n))
				before = ""
			}
		})
	}
}

func TestAlwaysTrue3LogsOfARunThatFailsAreDelivered(t *testing.T) {
	const code = `
import os, signal, sys, time
def main(args):
    print("x" * 100_000)
    print("last words", file=sys.stderr)
    how = args["how"]
    if how == "exit":
        os._exit(3)
    if how == "sys.exit":
        sys.exit(5)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1000)
`
	for _, c := range []struct {
		how     string
		outcome function.Outcome
		words   string
	}{
		{"exit", function.OutcomeCrashed, "the function's process exited with code 3 without an answer"},
		{"sys.exit", function.OutcomeCrashed, "exited with code 5"},
		{"kill", function.OutcomeCrashed, "was killed by signal 9 (SIGKILL)"},
	} {
		for _, concurrency := range []int{1, 2} {
			t.Run(fmt.Sprint(c.how, concurrency), func(t *testing.T) {
				w := start(t, kind.Python, code, func(cfg *worker.Config) { cfg.Concurrency = concurrency })
				out, sum := run(t, w, value(`{"how":"`+c.how+`"}`))
				wantOutcome(t, sum, c.outcome, c.words)
				want(t, "stdout", out.stdout.String(), strings.Repeat("x", 100_000)+"\n")
				want(t, "stderr", out.stderr.String(), "last words\n")
				<-w.Done()
			})
		}
	}
}

func TestLogLimitIsSaid(t *testing.T) {
	const code = "def main(args):\n    for i in range(args['n']):\n        print('x' * 999)\n    return args\n"
	w := start(t, kind.Python, code, func(c *worker.Config) { c.LogLimit = 100_000 })
	for _, n := range []int{5000, 100, 101} {
		out, sum := run(t, w, value(fmt.Sprintf(`{"n":%d}`, n)))
		wantOutcome(t, sum, function.OutcomeOK, "")
		all := strings.Repeat(strings.Repeat("x", 999)+"\n", min(n, 100))
		want(t, "stdout", out.stdout.String(), all)
		if said := strings.Contains(out.stderr.String(), "the log limit of 100000 bytes is reached"); said != (n > 100) {
			t.Errorf("%d lines: stderr is %q", n, out.stderr.String())
		}
	}
}

// A thread that writes between two runs must not block, and what it wrote comes
// with the next run, bounded.
func TestOutputBetweenRunsIsBounded(t *testing.T) {
	const code = `
import os, threading
print("start", "y" * 200_000, "end")
def main(args):
    return {}
`
	w := start(t, kind.Python, code)
	out, _ := run(t, w, value(`{}`))
	const kept, piped = 64 << 10, 64 << 10 // what we keep, and what the pipe still held when the run began
	if text := out.stdout.String(); !strings.HasSuffix(text, "yyy end\n") || len(text) > kept+piped {
		t.Errorf("%d bytes, ending %q", len(text), text[max(0, len(text)-10):])
	}
	if !strings.Contains(out.stderr.String(), "earlier output is left out") {
		t.Errorf("stderr: %q", out.stderr.String())
	}
}
