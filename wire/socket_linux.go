package wire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// control lets a connection die when what was sent is not acknowledged for
// deadAfter; keep-alive only watches connections on which nothing is sent.
func control(_, _ string, raw syscall.RawConn) error {
	var err error
	outer := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	})
	if outer != nil {
		return outer
	}
	return err
}
