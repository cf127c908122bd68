package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

func TestFailedStartSaysWhy(t *testing.T) {
	for _, c := range []struct{ name, kind, code, message, logs string }{
		{"python import", kind.Python, "import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'", "line 1, in <module>"},
		{"python syntax", kind.Python, "def main(:\n", "SyntaxError: invalid syntax", "main__.py\", line 1"},
		{"python missing main", kind.Python, "def other(a): pass\nimport os\n", "The action does not have a function named 'main'; it has other.", ""},
		{"python exits", kind.Python, "import os\nprint('bye')\nos._exit(3)\n", "the function's process exited with code 3 before it was ready", "bye"},
		{"node require", kind.NodeJS, "console.log('hi'); require('no-such-module')", "Cannot find module 'no-such-module'", "hi"},
		{"node syntax", kind.NodeJS, "function main( {", "SyntaxError", "index.cjs:1"},
		{"node missing main", kind.NodeJS, "exports.other = () => {}", "The action does not have a function named 'main'; it exports other.", ""},
		{"native exits", kind.Native, "#!/bin/sh\necho oh >&2; exit 4\n", "exited with code 4", "oh"},
		{"native not executable", kind.Native, "\x00\x01", "neither an ELF file nor a script", ""},
		{"native says no", kind.Native, "#!/bin/sh\necho '{\"ok\":false,\"error\":\"no way\"}' >&3\n", "no way", ""},
		{"native babbles", kind.Native, "#!/bin/sh\necho hello >&3; sleep 1000\n", "is not the ack", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := tryStart(t, c.kind, c.code)
			if err == nil {
				w.Stop()
				t.Fatal("it started")
			}
			e := function.AsError(err)
			if e.Code != function.CodeInitFailed || !strings.Contains(e.Message, c.message) {
				t.Errorf("got %s, %q; want %q", e.Code, e.Message, c.message)
			}
			if !strings.Contains(e.Logs, c.logs) || strings.Contains(e.Logs, "launcher") {
				t.Errorf("logs: %q", e.Logs)
			}
		})
	}
}

func TestStartIsBounded(t *testing.T) {
	const silent = "#!/bin/sh\necho waiting\nsleep 1000\n"
	_, err := tryStart(t, kind.Native, silent, func(c *worker.Config) { c.StartTimeout = 200 * time.Millisecond })
	if e := function.AsError(err); e == nil || e.Code != function.CodeInitFailed || !strings.Contains(e.Message, "no ack within 200ms") || e.Logs != "waiting\n" {
		t.Errorf("got %+v", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = tryStart(contextT{t, ctx}, kind.Native, silent)
	if function.CodeOf(err) != function.CodeCancelled || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// contextT is a test with a context of its own.
type contextT struct {
	*testing.T
	ctx context.Context
}

func (c contextT) Context() context.Context { return c.ctx }
