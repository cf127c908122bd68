package sandbox

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// An Exit is how the command ended.
type Exit struct {
	Code   int            // the exit code, when Signal is 0
	Signal syscall.Signal // what killed it, or 0
	// Failure says in words why the command never ran, or why its end is not
	// known; usually empty.
	Failure string
	// Cause says in words why we ended it, or why the kernel did, where that is
	// known: "ran out of memory; its limit is 256 MB". It completes a sentence that
	// begins "the process ...".
	Cause string
}

// Words completes a sentence that begins "the process ...".
func (e Exit) Words() string {
	switch {
	case e.Cause != "":
		return e.Cause
	case e.Failure != "":
		return e.Failure
	case e.Signal != 0:
		return fmt.Sprintf("was killed by signal %d (%s)", int(e.Signal), signalName(e.Signal))
	}
	return fmt.Sprintf("exited with code %d", e.Code)
}

// OK reports whether the command ran and exited with code 0.
func (e Exit) OK() bool { return e == Exit{} }

func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return "without a name"
}

func exitOf(ws syscall.WaitStatus) Exit {
	if ws.Signaled() {
		return Exit{Signal: ws.Signal()}
	}
	return Exit{Code: ws.ExitStatus()}
}
