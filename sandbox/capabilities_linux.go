package sandbox

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The bits of securebits, and how each is locked. See capabilities(7).
const (
	secureNoRoot         = 1<<0 | 1<<1 // uid 0 gains nothing by an exec
	secureNoAmbientRaise = 1<<6 | 1<<7
)

// stripCapabilities takes all capabilities from this thread and what it starts.
// With ownUser it keeps those that the change of the uid takes, which loses them.
func stripCapabilities(ownUser bool) error {
	if err := closeBounds(); err != nil {
		return err
	}
	var sets [2]unix.CapUserData
	if ownUser {
		// CAP_KILL: this thread's end kills the command.
		keep := uint32(1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL)
		sets[0] = unix.CapUserData{Effective: keep, Permitted: keep}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	return nil
}

// closeBounds makes sure that no exec can bring a capability back. It takes
// CAP_SETPCAP; without that, no_new_privs still does the same.
func closeBounds() error {
	for c := uintptr(0); c <= 63; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EPERM) {
			return nil
		}
		if errors.Is(err, unix.EINVAL) {
			break // the kernel knows no more of them
		}
		if err != nil {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	err := unix.Prctl(unix.PR_SET_SECUREBITS, secureNoRoot|secureNoAmbientRaise, 0, 0, 0)
	if err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setting secure bits: %w", err)
	}
	return nil
}
