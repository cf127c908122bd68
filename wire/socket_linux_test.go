package wire

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Both ends of a connection retransmit soon: what Listen accepts, and what is dialled.
func TestConnectionsRetransmitSoon(t *testing.T) {
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := (&net.Dialer{Control: control}).Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	for _, c := range []net.Conn{near, far} {
		shortest, err := shortestRetryOf(c)
		if errors.Is(err, unix.ENOPROTOOPT) {
			t.Skip("this kernel is older than Linux 6.15")
		}
		// The kernel rounds up to its own ticks, 10 ms at most.
		if err != nil || shortest < shortestRetry || shortest > shortestRetry+10*time.Millisecond {
			t.Errorf("%v, %v", shortest, err)
		}
	}
}

func shortestRetryOf(c net.Conn) (shortest time.Duration, err error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var us int
	outer := raw.Control(func(fd uintptr) {
		us, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RTO_MIN_US)
	})
	return time.Duration(us) * time.Microsecond, errors.Join(outer, err)
}
