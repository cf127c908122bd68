package worker_test

import (
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// Executables from before there were acks work as they are.
func TestPlainLoopWithoutAnAck(t *testing.T) {
	w := start(t, kind.Native, "#!/bin/bash\nwhile read -r line; do echo log; echo \"$line\" >&3; done\n")
	for _, body := range []string{`{"n":1}`, `{"n":2}`} {
		out, sum := run(t, w, body)
		wantOutcome(t, sum, function.OutcomeOK, "")
		want(t, "result", out.result(), body)
	}
}

// An ack that comes after the first run was sent is not taken for its answer.
func TestPlainLoopWithALateAck(t *testing.T) {
	w := start(t, kind.Native, "#!/bin/bash\nread -r first\necho '{ \"ok\": true }' >&3\necho \"$first\" >&3\nwhile read -r line; do echo \"$line\" >&3; done\n")
	for _, body := range []string{`{"n":1}`, `{"ok":true}`, `{"n":3}`} {
		out, sum := run(t, w, body)
		wantOutcome(t, sum, function.OutcomeOK, "")
		want(t, "result", out.result(), body)
	}
}
