//go:build !linux

package sandbox

import (
	"fmt"
	"syscall"
)

func enter(m Mode) error {
	if m != ModeGroup {
		return fmt.Errorf("the mode %q exists on Linux only", m)
	}
	return nil
}

func commandAttributes(Mode) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func closeOnExec(first int) error {
	for fd := first; fd <= statusFD; fd++ {
		syscall.CloseOnExec(fd)
	}
	return nil
}

// killDescendants kills the command's process group, which is what its session
// began with.
func killDescendants(command int) { syscall.Kill(-command, syscall.SIGKILL) }
