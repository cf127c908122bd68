package sandbox

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// enter makes the shim what its mode needs.
func enter(m Mode) error {
	if m == ModeNamespace {
		return enterNamespace()
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming a subreaper: %w", err)
	}
	return nil
}

// enterNamespace gives the namespace its own /proc, where only its own
// processes are seen, and lays down what capabilities that took.
func enterNamespace() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting a private /proc: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	return nil
}

func commandAttributes(m Mode) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if m == ModeSubreaper {
		// In case somebody kills the shim. Its main thread is the starter and
		// lives as long as the shim, so this cannot fire early.
		attr.Pdeathsig = syscall.SIGKILL
	}
	return attr
}

// closeOnExec keeps the command from inheriting first and what follows.
func closeOnExec(first int) error {
	err := unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// Before Linux 5.11. Then only ours are known.
	for fd := first; fd <= statusFD; fd++ {
		unix.CloseOnExec(fd)
	}
	return nil
}
