//go:build !linux

package wire

import "syscall"

// control has nothing to set here: keep-alive must do.
func control(_, _ string, _ syscall.RawConn) error { return nil }
