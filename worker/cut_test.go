package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

const sleeper = "import time\ndef main(args):\n    print('sleeping')\n    time.sleep(1000)\n"

func TestTimeLimitEndsTheWorkerAndIsSaid(t *testing.T) {
	w := start(t, kind.Python, sleeper)
	out, sum := runWithin(t, w, value(`{}`), 300*time.Millisecond)
	wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
	want(t, "stdout", out.stdout.String(), "sleeping\n")
	<-w.Done()
	_, err := w.Run(t.Context(), &function.Activation{}, &recorder{})
	if err == nil {
		t.Error("a run on a dead worker has no error")
	}
}

func TestEndOfContextEndsTheWorker(t *testing.T) {
	for _, c := range []struct {
		cause   error
		outcome function.Outcome
	}{{context.Canceled, function.OutcomeCancelled}, {context.DeadlineExceeded, function.OutcomeTimeout}, {errors.New("gone"), function.OutcomeCancelled}} {
		t.Run(c.cause.Error(), func(t *testing.T) {
			w := start(t, kind.Python, sleeper)
			ctx, cancel := context.WithCancelCause(t.Context())
			out := function.OutputFunc(func(function.Stream, []byte) error { cancel(c.cause); return nil })
			sum, err := w.Run(ctx, &function.Activation{Body: function.BytesBody([]byte(value(`{}`)))}, out)
			if err != nil || sum.Outcome != c.outcome {
				t.Errorf("got %+v, %v; want %s", sum, err, c.outcome)
			}
			<-w.Done()
		})
	}
}

func TestOutputThatFailsCancelsTheRun(t *testing.T) {
	w := start(t, kind.Python, sleeper)
	out := &recorder{err: errors.New("the caller has left")}
	sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{}`)))}, out)
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, sum, function.OutcomeCancelled, "the caller has left")
}

// A process that does not read its stdin must not make Run hang.
func TestTimeLimitHoldsWhileTheInputIsWritten(t *testing.T) {
	w := start(t, kind.Native, "#!/bin/sh\necho '{\"ok\":true}' >&3\nsleep 1000\n")
	_, sum := runWithin(t, w, value(`"`+strings.Repeat("x", 1<<20)+`"`), 200*time.Millisecond)
	wantOutcome(t, sum, function.OutcomeTimeout, "time limit")
}

func TestStopEndsRunsUnderWay(t *testing.T) {
	w := start(t, kind.Python, sleeper)
	out := function.OutputFunc(func(function.Stream, []byte) error { go w.Stop(); return nil })
	sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{}`)))}, out)
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, sum, function.OutcomeCrashed, "the worker was stopped")
	w.Stop()
}
