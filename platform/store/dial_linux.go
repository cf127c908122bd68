package store

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// giveUp makes the kernel end a connection whose peer acknowledges nothing for silentFor.
func giveUp(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// A socket of another family has no such option, and needs none.
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silentFor.Milliseconds()))
	})
}
