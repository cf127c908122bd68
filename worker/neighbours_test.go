package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

// stayPython never ends. An interrupt may come while it prints.
const stayPython = `
def stay():
    begun = False
    while True:
        try:
            if not begun:
                begun = True
                print("begun")
            time.sleep(1000)
        except KeyboardInterrupt:
            pass
`

// meeters are functions whose runs do what "how" says: "stay" ignores all that asks
// it to end; "wait" goes on when a run said "go".
var meeters = map[string]string{
	kind.Python: `
import threading, time
went = threading.Event()
` + stayPython + `
def main(args):
    how = args["how"]
    if how == "go": went.set()
    if how == "loud":
        try: print("x" * args["n"])
        finally: went.set()
    if how == "stay": stay()
    if how == "wait": print("begun"); went.wait()
    return args
`,
	kind.NodeJS: `
let go
const went = new Promise(resolve => { go = resolve })
exports.main = async args => {
  const how = args.how
  if (how === 'go') go()
  if (how === 'loud') { console.log('x'.repeat(args.n)); go() }
  if (how === 'stay' || how === 'wait') console.log('begun')
  if (how === 'stay') await new Promise(() => {})
  if (how === 'wait') await went
  return args
}
`,
}

// A pending is a run under way.
type pending struct {
	begun chan struct{} // closed at its first output
	done  chan struct{}
	out   recorder
	sum   function.Summary
	err   error
}

func runLater(ctx context.Context, w *worker.Worker, body string) *pending {
	p := &pending{begun: make(chan struct{}), done: make(chan struct{})}
	first := true
	out := function.OutputFunc(func(s function.Stream, b []byte) error {
		if first {
			close(p.begun)
		}
		first = false
		return p.out.Write(s, b)
	})
	go func() {
		defer close(p.done)
		p.sum, p.err = w.Run(ctx, &function.Activation{Body: function.BytesBody([]byte(body))}, out)
	}()
	return p
}

// Where runs overlap, one that does not end when it is cut harms no other: they go
// on to their ends in a worker that takes no more.
func TestAlwaysTrue10RunThatDoesNotEndLetsTheOthersEnd(t *testing.T) {
	for name, code := range meeters {
		t.Run(name, func(t *testing.T) {
			w := start(t, name, code, hasty, concurrency(3))
			waiting := runLater(t.Context(), w, value(`{"how":"wait"}`))
			last := runLater(t.Context(), w, value(`{"how":"wait"}`))
			<-waiting.begun
			<-last.begun
			out, sum := runAndCut(t, w, value(`{"how":"stay"}`), context.DeadlineExceeded)
			wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
			want(t, "stdout", out.stdout.String(), "begun\n")
			if !w.Retiring() {
				t.Error("the worker does not retire")
			}
			if _, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{"how":"go"}`)))}, out); err == nil {
				t.Error("it takes a further run")
			}
			select {
			case <-w.Done():
				t.Error("it ended before its other runs")
			case <-waiting.done:
				t.Error("a run ended early", waiting.sum)
			default:
			}
			w.End("was ended by the test") // nothing can be sent that would let them go on
			<-waiting.done
			<-last.done
			wantOutcome(t, waiting.sum, function.OutcomeCrashed, "was ended by the test")
			wantOutcome(t, last.sum, function.OutcomeCrashed, "was ended by the test")
			<-w.Done()
		})
	}
}

// When the last of the others has ended, so does the process.
func TestRetiredWorkerEndsWithItsLastRun(t *testing.T) {
	const code = `
import os, time
` + stayPython + `
def main(args):
    if args["how"] == "stay": stay()
    print("begun")
    while not os.path.exists("go"): time.sleep(0.005)
    return args
`
	dir := ""
	w := start(t, kind.Python, code, hasty, concurrency(2), func(c *worker.Config) { dir = c.Command.Dir })
	waiting := runLater(t.Context(), w, value(`{"how":"wait"}`))
	<-waiting.begun
	_, sum := runAndCut(t, w, value(`{"how":"stay"}`), context.Canceled)
	wantOutcome(t, sum, function.OutcomeCancelled, "cancelled")
	touch(t, dir+"/go")
	<-waiting.done
	wantOutcome(t, waiting.sum, function.OutcomeOK, "")
	want(t, "result", waiting.out.result(), `{"how":"wait"}`)
	<-w.Done()
}

// A client that reads nothing holds up its own run, and then loses it. The others
// of its worker go on.
func TestAlwaysTrue10ClientThatDoesNotReadHarmsNoOtherRun(t *testing.T) {
	for name, code := range meeters {
		t.Run(name, func(t *testing.T) {
			w := start(t, name, code, patient, concurrency(2))
			ctx, cancel := context.WithCancel(t.Context())
			stuck := make(chan struct{})
			out := function.OutputFunc(func(function.Stream, []byte) error {
				close(stuck)
				<-ctx.Done()
				return errors.New("the connection is cut")
			})
			ended := make(chan function.Summary, 1)
			go func() {
				sum, err := w.Run(ctx, &function.Activation{Body: function.BytesBody([]byte(value(`{"how":"loud","n":5000000}`)))}, out)
				if err != nil {
					t.Error(err)
				}
				ended <- sum
			}()
			<-stuck
			for i := range 10 {
				arg := fmt.Sprintf(`{"how":"%d"}`, i)
				if i == 0 {
					arg = `{"how":"wait"}` // for the other to have printed all: then it is cut
				}
				other, sum := run(t, w, value(arg))
				wantOutcome(t, sum, function.OutcomeOK, "")
				want(t, "result", other.result(), arg)
				if w.Retiring() {
					t.Fatal("the worker retires")
				}
			}
			cancel()
			wantOutcome(t, <-ended, function.OutcomeCancelled, "nobody takes its output")
		})
	}
}

// A client that reads slowly, but reads, gets all of a large output.
func TestOutputThatIsTakenSlowlyIsWhole(t *testing.T) {
	for name, code := range meeters {
		t.Run(name, func(t *testing.T) {
			w := start(t, name, code, concurrency(2))
			out, sum := run(t, w, value(`{"how":"loud","n":5000000}`))
			wantOutcome(t, sum, function.OutcomeOK, "")
			want(t, "stdout", out.stdout.String(), strings.Repeat("x", 5_000_000)+"\n")
		})
	}
}

// 100 MB of logs end at the limit; the run and its neighbours do not notice.
func TestHundredMegabytesOfLogs(t *testing.T) {
	for name, code := range meeters {
		for _, n := range []int{1, 2} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				w := start(t, name, code, concurrency(n))
				loud := runLater(t.Context(), w, value(`{"how":"loud","n":100000000}`))
				for range 5 {
					_, sum := run(t, w, value(`{"how":""}`))
					wantOutcome(t, sum, function.OutcomeOK, "")
				}
				<-loud.done
				wantOutcome(t, loud.sum, function.OutcomeOK, "")
				if got := loud.out.stdout.Len(); got != worker.DefaultLogLimit {
					t.Errorf("%d bytes of logs", got)
				}
				if !strings.Contains(loud.out.stderr.String(), "the log limit") {
					t.Errorf("stderr: %.300q", loud.out.stderr.String())
				}
			})
		}
	}
}
