package worker_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

const overlapPython = `
import asyncio, os, threading
barrier = threading.Barrier(4)
def main(args):
    print("begin", args["id"])
    if args["meet"]:
        barrier.wait()
    print("end", os.environ["__OW_ACTIVATION_ID"], end="")
    return args
`

const overlapNode = `
let waiting = []
exports.main = async args => {
  console.log('begin', args.id)
  if (args.meet) {
    await new Promise(resolve => { waiting.push(resolve); if (waiting.length === 4) { waiting.forEach(f => f()); waiting = [] } })
  }
  process.stdout.write('end ' + process.env.__OW_ACTIVATION_ID)
  return args
}
`

// Four runs wait for each other inside the process, so they do overlap.
func TestAlwaysTrue3OverlappingRunsKeepTheirOwnLogsAndAnswers(t *testing.T) {
	for name, code := range map[string]string{kind.Python: overlapPython, kind.NodeJS: overlapNode} {
		t.Run(name, func(t *testing.T) {
			w := start(t, name, code, func(c *worker.Config) { c.Concurrency = 4 })
			if w.Concurrency() != 4 {
				t.Fatalf("concurrency is %d", w.Concurrency())
			}
			for round := range 20 {
				together(t, w, 4, round, true)
			}
		})
	}
}

func TestManyCallersGetTheirOwnAnswers(t *testing.T) {
	for name, code := range map[string]string{kind.Python: overlapPython, kind.NodeJS: overlapNode} {
		for _, concurrency := range []int{1, 3} {
			t.Run(fmt.Sprint(name, concurrency), func(t *testing.T) {
				w := start(t, name, code, func(c *worker.Config) { c.Concurrency = concurrency })
				for round := range 20 {
					together(t, w, 16, round, false)
				}
			})
		}
	}
}

func together(t *testing.T, w *worker.Worker, callers, round int, meet bool) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			id := fmt.Sprintf("%d-%d", round, i)
			arg := fmt.Sprintf(`{"id":"%s","meet":%v}`, id, meet)
			var out recorder
			body := fmt.Sprintf(`{"value":%s,"activation_id":"%s"}`, arg, id)
			sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(body))}, &out)
			if err != nil {
				t.Error(err)
				return
			}
			wantOutcome(t, sum, function.OutcomeOK, "")
			want(t, "result", out.result(), arg)
			want(t, "stdout", out.stdout.String(), "begin "+id+"\nend "+id)
		})
	}
	wg.Wait()
}
