package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// eager runs as soon as it has read a JSON value, before the line's end, as a
// decoder of a stream does. It notes the run and ends without an answer.
const eager = `#!/usr/bin/env python3
import json, os
os.write(3, b'{"ok": true}\n')
text, decode = "", json.JSONDecoder().raw_decode
while True:
    text += os.read(0, 4096).decode()
    try:
        decode(text)
        break
    except ValueError:
        pass
with open("ran", "a") as f:
    f.write("x")
os._exit(0)
`

// Before its line has ended, a plain ActionLoop may have begun the run already.
func TestAlwaysTrue1RunThatAPlainLoopBeganEarlyIsNotRepeated(t *testing.T) {
	w := start(t, kind.Native, eager)
	body := value(`{}`) + strings.Repeat(" ", 256<<10)
	var out recorder
	sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(body)), Timeout: 30 * time.Second}, &out)
	if err != nil {
		t.Fatalf("it ran, but Run says that it never started: %v", err)
	}
	wantOutcome(t, sum, function.OutcomeCrashed, "exited with code 0")
}

// closer closes its input before its first answer, and stays. The shim must have
// let go of the same pipe first.
const closer = `#!/bin/bash
while [ -e /proc/$PPID/fd/0 ]; do sleep 0.01; done
echo '{"ok":true}' >&3
read line
exec 0<&-
echo '{}' >&3
exec sleep 1000
`

// A process that takes no more input takes no more runs: the next one must not
// wait for its time limit.
func TestWorkerThatClosedItsInputEnds(t *testing.T) {
	w := start(t, kind.Native, closer)
	_, sum := run(t, w, value(`{}`))
	wantOutcome(t, sum, function.OutcomeOK, "")
	var out recorder
	sum, err := w.Run(t.Context(), &function.Activation{Body: function.BytesBody([]byte(value(`{}`))), Timeout: 30 * time.Second}, &out)
	if err == nil {
		t.Errorf("a run that could not be handed over ended with %+v", sum)
	}
	<-w.Done()
}
