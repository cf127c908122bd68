//go:build !linux

package postgres

import "syscall"

// endWithUs leaves the server in our process group: the terminal's Ctrl-C ends it.
func endWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
