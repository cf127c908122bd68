//go:build !linux

package sandbox

import (
	"fmt"
	"os"
	"syscall"
)

func prepare(o order) error {
	if o.Mode != ModeGroup {
		return fmt.Errorf("the mode %q exists on Linux only", o.Mode)
	}
	return limit(o)
}

func confine(order) error { return nil }

func ownExecutable() string {
	path, _ := os.Executable() // without it the start fails and says so
	return path
}

func commandAttributes(order) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func closeOnExec(first int) error {
	for fd := first; fd <= statusFD; fd++ {
		syscall.CloseOnExec(fd)
	}
	return nil
}

// killDescendants kills the command's process group, which is what its session
// began with.
func killDescendants(command int) { syscall.Kill(-command, syscall.SIGKILL) }

func limitProcesses(order, int) error { return nil }
