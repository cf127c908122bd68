package worker_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// forkers start a child, which a SIGINT would end, and return how it ended.
var forkers = map[string]string{
	kind.Python: `
import subprocess
def main(args):
    return {"n": args["n"], "child": subprocess.run(["/bin/sh", "-c", "exit 7"]).returncode}
`,
	kind.NodeJS: `
const { spawn } = require('child_process')
exports.main = ({ n }) => new Promise(resolve => {
  spawn('/bin/sh', ['-c', 'exit 7']).on('exit', (code, signal) => resolve({ n, child: code ?? signal }))
})
`,
}

// The limit and the answer come at about the same moment, again and again. Whoever
// wins, the next run is not hit by what was meant for the one before it, and
// the worker goes on.
func TestLimitAtTheMomentOfTheAnswer(t *testing.T) {
	rounds := 100
	if os.Getenv("WHISKAWAY_SLOW") == "1" {
		rounds = 1000
	}
	for _, code := range []map[string]string{echoes, forkers} {
		for name, text := range code {
			for _, n := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s %d %d", name, n, len(text)), func(t *testing.T) {
					w := start(t, name, text, patient, concurrency(n))
					outcomes := map[function.Outcome]int{}
					const short = 20 * time.Microsecond
					limit := time.Millisecond
					for i := range rounds {
						arg := fmt.Sprintf(`{"n":%d}`, i)
						_, sum := runWithin(t, w, value(arg), limit*time.Duration(80+rand.IntN(40))/100)
						outcomes[sum.Outcome]++
						if sum.Outcome == function.OutcomeOK {
							limit = max(limit*9/10, short)
						} else {
							limit = limit * 10 / 9
						}
						out, sum := run(t, w, value(arg))
						wantOutcome(t, sum, function.OutcomeOK, "")
						answer := arg
						if text == forkers[name] {
							answer = fmt.Sprintf(`{"n":%d,"child":7}`, i)
						}
						want(t, "result", out.result(), answer)
						if t.Failed() {
							t.Fatalf("in round %d\n%s", i, out.stderr.String())
						}
					}
					if outcomes[function.OutcomeOK]+outcomes[function.OutcomeTimeout] != rounds {
						t.Errorf("outcomes: %v", outcomes)
					}
					t.Log(outcomes)
				})
			}
		}
	}
}
