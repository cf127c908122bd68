package sandbox

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// limit sets the limits that the command inherits. They hold for the shim too,
// which writes no file and opens few.
func limit(o order) error {
	if err := lower(syscall.RLIMIT_CORE, 0); o.Fence != nil && err != nil {
		return fmt.Errorf("refusing core files: %w", err)
	}
	if o.FileSize > 0 {
		if err := lower(syscall.RLIMIT_FSIZE, uint64(o.FileSize)); err != nil {
			return fmt.Errorf("limiting the size of files: %w", err)
		}
	}
	if o.UserProcesses > 0 && o.Fence != nil && o.Fence.Users && o.User != 0 {
		// The shim's own user is another one, and hardly has any process.
		if err := lower(unix.RLIMIT_NPROC, uint64(o.UserProcesses)); err != nil {
			return fmt.Errorf("limiting the user's processes: %w", err)
		}
	}
	if o.OpenFiles > 0 {
		if err := lower(syscall.RLIMIT_NOFILE, uint64(o.OpenFiles)); err != nil {
			return fmt.Errorf("limiting open files: %w", err)
		}
	}
	return nil
}

// lower sets both the soft and the hard limit, and raises none.
func lower(resource int, to uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	to = min(to, now.Max)
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: to, Max: to})
}
