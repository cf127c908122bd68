//go:build unix

package wire

import (
	"errors"
	"net"
	"syscall"
)

// A peeker tells whether an idle connection has something to read.
type peeker struct {
	raw   syscall.RawConn
	look  func(fd uintptr) bool // peek, made a func once
	found error
}

// newPeeker returns nil for a connection that cannot be looked into.
func newPeeker(conn net.Conn) *peeker {
	sc, ok := beneath(conn).(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	p := &peeker{raw: raw}
	p.look = p.peek
	return p
}

// readable reports whether there is something to read, the end or an error
// included, without reading it and without waiting. A deadline that is over
// counts as an error.
func (p *peeker) readable() bool {
	err := p.raw.Read(p.look)
	return err != nil || !errors.Is(p.found, syscall.EAGAIN)
}

func (p *peeker) peek(fd uintptr) bool {
	var b [1]byte
	_, _, p.found = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return true
}
