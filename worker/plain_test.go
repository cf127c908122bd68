package worker_test

import (
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// lineEcho is an ActionLoop in bash that answers with the line that it got.
const lineEcho = `#!/bin/bash
echo '{"ok":true}' >&3
while IFS= read -r line; do
  echo "got ${#line}"
  printf '%s\n' "$line" >&3
done
`

const linePython = `#!/usr/bin/env python3
import os, sys
out = os.fdopen(3, "w")
print('{"ok": true}', file=out, flush=True)
for line in sys.stdin:
    print("ran", file=sys.stderr, flush=True)
    print('{"body":' + line.strip() + '}', file=out, flush=True)
`

func TestAlwaysTrue2PlainActionLoopGetsAndGivesBytesAsTheyAre(t *testing.T) {
	w := start(t, kind.Native, lineEcho)
	for _, body := range []string{
		`{"value":{"a":  1.00e2, "n":12345678901234567890},"deadline":"1"}`,
		`{"value":"ü \u00fc 🎉"}`,
	} {
		out, sum := run(t, w, body)
		wantOutcome(t, sum, function.OutcomeOK, "")
		want(t, "result", out.result(), body)
	}
	out, _ := run(t, w, "{\r\n\"value\":\n{}}\n")
	want(t, "result with line ends", out.result(), `{  "value": {}} `)
	want(t, "stdout", out.stdout.String(), "got 16\n")
}

func TestPlainActionLoopInPython(t *testing.T) {
	w := start(t, kind.Native, linePython)
	for range 3 {
		out, sum := run(t, w, `{"value":{}}`)
		wantOutcome(t, sum, function.OutcomeOK, "")
		want(t, "result", out.result(), `{"body":{"value":{}}}`)
		want(t, "stderr", out.stderr.String(), "ran\n")
	}
	if w.Concurrency() != 1 {
		t.Errorf("concurrency is %d", w.Concurrency())
	}
}

// A process that answers without being asked could shift all later answers by
// one run.
func TestAnswerOutOfTurnEndsTheWorker(t *testing.T) {
	w := start(t, kind.Native, "#!/bin/bash\necho '{\"ok\":true}' >&3\necho '{}' >&3\nsleep 1000\n")
	<-w.Done()
}
