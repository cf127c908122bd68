package wire

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shortestRetry is how long TCP waits at least before it sends again what is not
// acknowledged; it adds this to the round trip. Linux waits 200 ms, which a run
// that loses its only packet feels. Its receivers acknowledge within 40 ms, so a
// shorter time than that would send twice what has arrived (tcp.h: TCP_RTO_MIN,
// TCP_DELACK_MIN). Other systems may take 100 ms and more: to these a packet goes twice now and then,
// until TCP has learned how long they take (RFC 6298 counts their waiting into the round trip).
const shortestRetry = 50 * time.Millisecond

// control lets a connection die when what was sent is not acknowledged for
// deadAfter; keep-alive only watches connections on which nothing is sent.
func control(_, _ string, raw syscall.RawConn) error {
	var err error
	outer := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
		// Linux 6.15 or later; who has an older one waits longer.
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RTO_MIN_US, int(shortestRetry.Microseconds()))
	})
	if outer != nil {
		return outer
	}
	return err
}
