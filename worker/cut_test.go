package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

// patient makes a test wait for a function's own end, however busy the machine is.
func patient(c *worker.Config) { c.Grace = time.Minute }

// hasty makes a test not wait long for what does not end by itself.
func hasty(c *worker.Config) { c.Grace = 50 * time.Millisecond }

func concurrency(n int) knob { return func(c *worker.Config) { c.Concurrency = n } }

// runAndCut runs the function, and ends the run's ctx for the cause when it has
// printed its first line.
func runAndCut(t testing.TB, w *worker.Worker, body string, cause error) (*recorder, function.Summary) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	rec := &recorder{}
	out := function.OutputFunc(func(s function.Stream, p []byte) error {
		if s == function.Stdout {
			cancel(cause)
		}
		return rec.Write(s, p)
	})
	sum, err := w.Run(ctx, &function.Activation{Body: function.BytesBody([]byte(body))}, out)
	if err != nil {
		t.Fatalf("the run never started: %v", err)
	}
	return rec, sum
}

// enders are functions that sleep until they are asked to end, and then clean up.
// Where Python does not run an event loop, a signal that comes at the very moment at
// which it begins to block is seen only afterwards. So they sleep in short turns.
var enders = []struct {
	name, kind, code string
	threads          bool // also where runs overlap
}{
	{"python finally", kind.Python, `
import time
def main(args):
    if "quick" in args: return args
    try:
        print("sleeping")
        while True: time.sleep(0.01)
    finally:
        print("cleaned up")
`, false},
	{"python except", kind.Python, `
import time
def main(args):
    if "quick" in args: return args
    try:
        print("sleeping")
        while True: time.sleep(0.01)
    except KeyboardInterrupt:
        print("cleaned up")
        return {}
`, true},
	{"python handler", kind.Python, `
import signal, threading
asked = threading.Event()
signal.signal(signal.SIGINT, lambda *_: asked.set())
def main(args):
    if "quick" in args: return args
    asked.clear()
    print("sleeping")
    while not asked.wait(0.01): pass
    print("cleaned up")
`, false},
	{"python async", kind.Python, `
import asyncio
async def main(args):
    if "quick" in args: return args
    try:
        print("sleeping")
        await asyncio.sleep(1000)
    finally:
        print("cleaned up")
`, true},
	{"python generator", kind.Python, `
import time
def items(args):
    try:
        for i in range(1000_000):
            if i == 3: print("sleeping")
            time.sleep(0.001)
            yield i
    finally:
        print("cleaned up")
def main(args):
    return args if "quick" in args else items(args)
`, true},
	{"python async generator", kind.Python, `
import asyncio
async def items(args):
    try:
        yield 1
        print("sleeping")
        await asyncio.sleep(1000)
        yield 2
    finally:
        print("cleaned up")
def main(args):
    return args if "quick" in args else items(args)
`, true},
	{"node signal", kind.NodeJS, `
exports.main = async args => {
  if (args.quick) return args
  console.log('sleeping')
  await new Promise(resolve => process.whiskaway.signal.addEventListener('abort', resolve))
  console.log('cleaned up')
}`, true},
	{"node SIGINT", kind.NodeJS, `
exports.main = async args => {
  if (args.quick) return args
  console.log('sleeping')
  const timer = setInterval(() => {}, 1000)
  await new Promise(resolve => process.once('SIGINT', resolve))
  clearInterval(timer)
  console.log('cleaned up')
}`, false},
}

func TestRunThatEndsInTheGraceKeepsItsWorker(t *testing.T) {
	for _, c := range enders {
		for _, n := range []int{1, 3} {
			if n > 1 && !c.threads {
				continue
			}
			t.Run(fmt.Sprint(c.name, " ", n), func(t *testing.T) {
				w := start(t, c.kind, c.code, patient, concurrency(n))
				for range 3 {
					out, sum := runAndCut(t, w, value(`{}`), context.DeadlineExceeded)
					wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
					want(t, "stdout", out.stdout.String(), "sleeping\ncleaned up\n")
					if strings.Contains(out.stderr.String(), "launcher") {
						t.Errorf("stderr: %s", out.stderr.String())
					}
					out, sum = run(t, w, value(`{"quick":1}`))
					wantOutcome(t, sum, function.OutcomeOK, "")
					want(t, "result", out.result(), `{"quick":1}`)
					want(t, "the next run's stdout", out.stdout.String(), "")
				}
				if w.Retiring() {
					t.Error("the worker retires")
				}
			})
		}
	}
}

const stubbornPython = "import time\n" + stayPython + "def main(args): stay()\n"

func TestRunThatDoesNotEndInTheGraceIsKilled(t *testing.T) {
	for _, c := range []struct{ name, kind, code string }{
		{"python", kind.Python, stubbornPython},
		{"node", kind.NodeJS, `exports.main = () => { console.log('begun'); for (;;) {} }`},
		{"native", kind.Native, "#!/bin/bash\ntrap '' INT\necho '{\"ok\":true}' >&3\nread line\necho begun\nwhile :; do sleep 1000; done\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, c.kind, c.code, hasty)
			out, sum := runAndCut(t, w, value(`{}`), context.DeadlineExceeded)
			wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
			if !strings.HasPrefix(out.stdout.String(), "begun\n") {
				t.Errorf("stdout: %q", out.stdout.String())
			}
			<-w.Done()
			if _, err := w.Run(t.Context(), &function.Activation{}, &recorder{}); err == nil {
				t.Error("a run on a dead worker has no error")
			}
		})
	}
}

func TestTimeLimitCutsTheRun(t *testing.T) {
	w := start(t, kind.Python, enders[0].code, patient)
	_, sum := runWithin(t, w, value(`{}`), 100*time.Millisecond)
	wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
	_, sum = run(t, w, value(`{"quick":1}`))
	wantOutcome(t, sum, function.OutcomeOK, "")
}

func TestEndOfContextCutsTheRun(t *testing.T) {
	w := start(t, kind.Python, enders[0].code, patient)
	for _, c := range []struct {
		cause   error
		outcome function.Outcome
	}{{context.Canceled, function.OutcomeCancelled}, {context.DeadlineExceeded, function.OutcomeTimeout}, {errors.New("gone"), function.OutcomeCancelled}} {
		_, sum := runAndCut(t, w, value(`{}`), c.cause)
		if sum.Outcome != c.outcome {
			t.Errorf("%v: got %+v; want %s", c.cause, sum, c.outcome)
		}
	}
}

// SIGINT ends an executable that does not care, and with it the run.
func TestPlainActionLoopIsInterrupted(t *testing.T) {
	w := start(t, kind.Native, "#!/bin/sh\necho '{\"ok\":true}' >&3\nread line\necho sleeping\nexec sleep 1000\n", patient)
	out, sum := runAndCut(t, w, value(`{}`), context.Canceled)
	wantOutcome(t, sum, function.OutcomeCancelled, "cancelled")
	want(t, "stdout", out.stdout.String(), "sleeping\n")
	<-w.Done()
}

// answersInterrupts is a plain ActionLoop that answers when it is asked to end.
const answersInterrupts = `#!/usr/bin/env python3
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: os.write(3, b"{}\n"))
os.write(3, b'{"ok": true}\n')
sys.stdin.readline()
print("sleeping", flush=True)
while True:
    time.sleep(1000)
`

// Whether the SIGINT of a run that was cut has come cannot be known of a plain
// ActionLoop, so it gets no further run.
func TestPlainActionLoopThatAnswersInTheGraceEnds(t *testing.T) {
	w := start(t, kind.Native, answersInterrupts, patient)
	out, sum := runAndCut(t, w, value(`{}`), context.DeadlineExceeded)
	wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
	want(t, "result", out.result(), "")
	<-w.Done()
}

func TestOutputThatFailsCancelsTheRun(t *testing.T) {
	for _, n := range []int{1, 2} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := start(t, kind.Python, enders[1].code, patient, concurrency(n))
			out := &recorder{err: errors.New("the caller has left")}
			sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{}`)))}, out)
			if err != nil {
				t.Fatal(err)
			}
			wantOutcome(t, sum, function.OutcomeCancelled, "the caller has left")
			// Also when it is the answer that nobody takes.
			sum, err = w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{"quick":1}`)))}, out)
			if err != nil {
				t.Fatal(err)
			}
			wantOutcome(t, sum, function.OutcomeCancelled, "the caller has left")
			_, sum = run(t, w, value(`{"quick":1}`))
			wantOutcome(t, sum, function.OutcomeOK, "")
		})
	}
}

// A process that does not read its stdin must not make Run hang.
func TestTimeLimitHoldsWhileTheInputIsWritten(t *testing.T) {
	w := start(t, kind.Native, "#!/bin/sh\necho '{\"ok\":true}' >&3\nsleep 1000\n")
	_, sum := runWithin(t, w, value(`"`+strings.Repeat("x", 1<<20)+`"`), 200*time.Millisecond)
	wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
	<-w.Done()
}

func TestStopEndsRunsUnderWay(t *testing.T) {
	w := start(t, kind.Python, stubbornPython)
	out := function.OutputFunc(func(function.Stream, []byte) error { go w.Stop(); return nil })
	sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{}`)))}, out)
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, sum, function.OutcomeCrashed, "the worker was stopped")
	w.Stop()
}

func TestEndSaysItsCause(t *testing.T) {
	w := start(t, kind.Python, stubbornPython)
	out := function.OutputFunc(func(function.Stream, []byte) error { w.End("used too much memory"); return nil })
	sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{}`)))}, out)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Outcome != function.OutcomeCrashed || sum.Error != "the function's process used too much memory" {
		t.Errorf("got %+v", sum)
	}
	if _, err := w.Run(t.Context(), &function.Activation{}, &recorder{}); err == nil || !w.Retiring() {
		t.Error("it takes another run")
	}
	<-w.Done()
}

// What a cut run has started ends a moment after it: the worker goes on. What does not end
// costs the worker.
func TestWhatACutRunHasStartedMayTakeAMomentToEnd(t *testing.T) {
	const code = `
import subprocess, sys, time
def main(args):
    if "quick" in args: return args
    # It does not hear the SIGINT, and ends when our end of its stdin is closed, or not at all.
    child = subprocess.Popen(["sh", "-c", "trap '' INT; echo up; read x; exec sleep " + args["more"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    try:
        print("sleeping")
        while True: time.sleep(0.01)
    finally:
        child.stdin.close()
`
	w := start(t, kind.Python, code, patient)
	runAndCut(t, w, value(`{"more":"0.02"}`), context.Canceled)
	out, sum := run(t, w, value(`{"quick":1}`))
	wantOutcome(t, sum, function.OutcomeOK, "")
	want(t, "result", out.result(), `{"quick":1}`)

	runAndCut(t, w, value(`{"more":"1000"}`), context.Canceled)
	act := &function.Activation{Body: function.BytesBody([]byte(value(`{"quick":1}`)))}
	if _, err := w.Run(t.Context(), act, &recorder{}); err == nil {
		t.Error("the worker goes on, with what the cut run has left")
	}
}
